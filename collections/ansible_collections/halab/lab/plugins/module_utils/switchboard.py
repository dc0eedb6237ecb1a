# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: what `power` in a lab's folder is: a shell script for the question asked often, an archive for the rest."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

_PACKAGE = "ansible_collections.halab.lab.plugins.module_utils"
_PARTS = ("machine_limits", "switch", "vm_switch")
_MAIN = "import sys\nfrom {package}.{part} import main\nsys.exit(main(sys.argv[1:]))\n"
_VM = "vm"
"""In place of the engine's name: the machines are virtual, each a process."""

_POWER = """#!/bin/sh
# Power switch of the machines of {lab}:
#   power off|on|state|reset|freeze|thaw|lose HOST
#   power limit HOST get|NAME=VALUE...
set -u
[ "$(id -u)" = 0 ] || exec sudo -n "$0" "$@"
if [ {engine} != vm ] && [ $# = 2 ] && [ "$1" = state ] && [ -d "{folder}/hostkeys/$2" ]; then
  status=$({engine} inspect --type container --format '{{{{.State.Status}}}}' "{lab}-$2") || exit 1
  case $status in
    running) echo on ;; paused) echo frozen ;; *) echo off ;;
  esac
else
  exec python3 -I -S "{folder}/switch.pyz" {engine} "{folder}" "$@"
fi
"""


def install(folder: Path, engine: str, write: Callable[[Path, bytes, int], None]) -> None:
    """Put the switch of the lab in `folder` there, by `write(path, content, mode)`."""
    write(folder / "switch.pyz", _archive("vm_switch" if engine == _VM else "switch"), 0o644)
    write(folder / "power", _POWER.format(lab=folder.name, engine=engine, folder=folder).encode(), 0o755)


def _archive(part: str) -> bytes:
    """A program that runs `main` of `part`: the same bytes for the same sources, so a second run changes nothing."""
    data = io.BytesIO()
    folders = _PACKAGE.split(".")
    texts = {"/".join(folders[: depth + 1]) + "/__init__.py": "" for depth in range(len(folders))}
    texts |= {"/".join(folders) + f"/{name}.py": _source(f"{_PACKAGE}.{name}") for name in _PARTS}
    with zipfile.ZipFile(data, "w") as archive:
        for name, text in (texts | {"__main__.py": _MAIN.format(package=_PACKAGE, part=part)}).items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return data.getvalue()


def _source(module: str) -> str:
    """A module's text, also out of the archive in which Ansible runs modules."""
    spec = importlib.util.find_spec(module)
    get_source = getattr(spec.loader if spec else None, "get_source", None)
    source = get_source(module) if get_source else None
    if not isinstance(source, str):
        raise RuntimeError(f"the source of {module} cannot be read")
    return source
