"""A small repository of its own, so that the driver runs real playbooks that do no harm."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from halab.driver.runner import Plays

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder like the repository: its settings and collections, playbooks of the test's own."""
    root = tmp_path / "a repository"
    (root / "playbooks").mkdir(parents=True)
    (root / "ansible.cfg").write_text((ROOT / "ansible.cfg").read_text())
    (root / "collections").symlink_to(ROOT / "collections")
    return root


@pytest.fixture
def write(root: Path) -> Callable[[str, str], None]:
    """Write playbooks/<name>.yml."""

    def write(name: str, text: str) -> None:
        path = root / "playbooks" / f"{name}.yml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return write


@pytest.fixture
def plays(root: Path, tmp_path: Path) -> Plays:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "all:\n  hosts:\n    here: {ansible_connection: local}\n    gone: {ansible_host: 127.0.0.1, ansible_port: 1}\n"
    )
    return Plays(root=root, inventory=inventory, logs=tmp_path / "logs")
