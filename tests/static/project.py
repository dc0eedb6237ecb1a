"""The tree as the static tests see it. Rules are functions of a root folder: a planted defect can prove them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
COLLECTIONS = Path("collections/ansible_collections/halab")
UNTRACKED = {".git", ".venv", "build", "runs", "__pycache__", ".hypothesis", ".ansible", ".cache"}


def files(root: Path) -> list[Path]:
    """Files that are, or would be, in the repository."""
    if (root / ".git").exists():
        listing = subprocess.run(
            ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        found = [root / name for name in listing.split("\0") if name]
    else:
        found = list(_walk(root))
    return sorted(path for path in set(found) if path.is_file())


def _walk(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in UNTRACKED and not name.endswith((".egg-info", "_cache"))]
        yield from (Path(folder) / name for name in names)


def texts(root: Path) -> Iterator[tuple[Path, str]]:
    """Every text file with its content, as paths relative to the root."""
    for path in files(root):
        try:
            yield path.relative_to(root), path.read_text("utf-8")
        except UnicodeDecodeError:
            continue


def roles(root: Path) -> list[Path]:
    """Folders of roles."""
    return sorted(path for path in (root / COLLECTIONS).glob("*/roles/*") if (path / "tasks").is_dir())


def plugins(root: Path, kind: str) -> dict[str, Path]:
    """Plugins of a kind by their full names."""
    return {
        f"halab.{path.parents[2].name}.{path.stem}": path
        for path in sorted((root / COLLECTIONS).glob(f"*/plugins/{kind}/*.py"))
        if path.stem != "__init__"
    }


def load(path: Path) -> Any:
    """A YAML document, or nothing where there is no file."""
    return yaml.safe_load(path.read_text("utf-8")) if path.exists() else None


def tool(name: str, *arguments: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run a tool of this environment on the tree. It sees no terminal and no colours."""
    folder = Path(sys.executable).parent
    environment = {
        **os.environ,
        "PATH": f"{folder}:{os.environ['PATH']}",
        "ANSIBLE_CONFIG": str(root / "ansible.cfg"),
        "NO_COLOR": "1",
        "TERM": "dumb",
        "COLUMNS": "160",
    }
    return subprocess.run(
        [name, *arguments], cwd=root, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def report(problems: list[str]) -> str:
    """Problems as the failure of a test shows them."""
    return f"{len(problems)} problem(s):\n" + "\n".join(f"  {problem}" for problem in problems)
