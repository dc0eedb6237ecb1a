"""Every archive that a fault leaves on a machine: it runs there, where nothing of ours is but what is in it."""

from __future__ import annotations

import ast
import importlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from ansible_collections.halab.faults.plugins import module_utils
from ansible_collections.halab.faults.plugins.module_utils.agent import Agent

PLUGINS = Path(next(iter(module_utils.__path__))).parent
PACKAGE = module_utils.__name__.rpartition(".")[0]


def asked_for() -> Iterator[tuple[str, ...]]:
    """The parts of every call `Agent(directory, parts)`, where parts is a constant or a tuple of constants."""
    for path in sorted((*PLUGINS.glob("module_utils/*.py"), *PLUGINS.glob("modules/*.py"))):
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "Agent" and len(call.args) == 2):
                continue
            module = importlib.import_module(f"{PACKAGE}.{path.parent.name}.{path.stem}")
            match call.args[1]:
                case ast.Name(id=name):
                    yield getattr(module, name)
                case ast.Tuple(elts=words):
                    yield tuple(
                        ast.literal_eval(w) if isinstance(w, ast.Constant) else _named(module, w) for w in words
                    )
                case other:
                    assert ast.unparse(other) == "plan.parts", f"{path}: {ast.unparse(call)} cannot be followed"


def _named(module: ModuleType, name: ast.expr) -> str:
    """The part that `PART` or `other_module.PART` stands for."""
    found: object = module
    for word in ast.unparse(name).split("."):
        found = getattr(found, word)
    return str(found)


ARCHIVES = sorted(set(asked_for()))


def test_archives_are_found() -> None:
    families = {part.partition("_")[0] for parts in ARCHIVES for part in parts}
    assert families >= {"clockfault", "config", "corrupt", "disk", "link", "partition", "power", "pressure", "process"}


@pytest.mark.parametrize("parts", ARCHIVES, ids="+".join)
def test_an_archive_needs_nothing_else(parts: tuple[str, ...], tmp_path: Path) -> None:
    agent = Agent(tmp_path, parts)
    agent.install()
    done = subprocess.run(agent.argv("none-such"), cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and done.stderr.startswith("no command 'none-such'; there are: "), done.stderr
    known = done.stderr.partition("there are: ")[2].strip().split(", ")
    modules = [importlib.import_module(f"{PACKAGE}.module_utils.{part}") for part in parts]
    assert set(known) >= {command for module in modules for command in getattr(module, "COMMANDS", {})}
