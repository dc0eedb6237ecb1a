"""Why a base system cannot be made, in apt's own words."""

from __future__ import annotations

import os
import shutil

import pytest

from ansible_collections.halab.lab.plugins.module_utils.builder import BaseSystem
from ansible_collections.halab.lab.plugins.module_utils.engine import Engine, EngineError

MISSING = [program for program in ("mmdebstrap", "podman") if not shutil.which(program)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes images")
@pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}")
def test_an_archive_that_does_not_answer_is_named_with_the_reason() -> None:
    mirror = "http://127.0.0.1:9/debian"
    base = BaseSystem(
        tag="localhost/halab/base:none", from_registry="", suite="trixie", mirror=mirror, packages=("dbus",)
    )
    with pytest.raises(EngineError) as caught:
        base.ensure(Engine("podman"))
    said = str(caught.value)
    assert f"mmdebstrap could not install trixie from {mirror}" in said
    assert "Connection refused" in said
    assert "image_mirror" in said
