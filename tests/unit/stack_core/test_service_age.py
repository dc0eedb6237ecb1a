"""When packages were unpacked, from dpkg's own files."""

from __future__ import annotations

import os
from pathlib import Path

from ansible_collections.halab.stack.plugins.modules.service_age import unpacked_at


def test_the_last_unpacking_counts_whatever_the_architecture(tmp_path: Path) -> None:
    for name, second in (("etcd-server", 100), ("redis-server", 200), ("libssl3:amd64", 300), ("etcd-server-x", 900)):
        path = tmp_path / f"{name}.list"
        path.touch()
        os.utime(path, (second, second))
    assert unpacked_at(["etcd-server"], tmp_path) == 100
    assert unpacked_at(["etcd-server", "redis-server"], tmp_path) == 200
    assert unpacked_at(["etcd-server", "libssl3"], tmp_path) == 300
    assert unpacked_at(["absent"], tmp_path) == 0
