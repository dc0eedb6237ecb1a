"""The data files: which tests belong to which module, and which changes make no difference."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Target:
    """A module of a checker (see `trial.full_name`), and the test files that belong to it."""

    checker: str
    module: str
    tests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Equivalent:
    """A change of a line of `module`, known by its text and its innermost function, that makes no difference, and why.

    `function` is empty for a line outside of all functions.
    """

    module: str
    function: str
    line: str
    what: str
    reason: str


def targets(chosen: tuple[str, ...] = ()) -> list[Target]:
    """Those of the `chosen` checkers and modules, by default all.

    Raises ValueError for one that does not exist.
    """
    table = tomllib.loads((HERE / "targets.toml").read_text(encoding="utf-8"))
    known = [Target(name, module, tuple(tests)) for name, modules in table.items() for module, tests in modules.items()]
    if strangers := sorted(set(chosen) - table.keys() - {target.module for target in known}):
        raise ValueError(f"no such checker: {', '.join(strangers)}; expected some of {', '.join(table)}, or a module")
    return [target for target in known if not chosen or target.checker in chosen or target.module in chosen]


def equivalents() -> list[Equivalent]:
    """All that are listed: a file for each module, named after it."""
    return [
        Equivalent(file.stem, **entry)
        for file in sorted((HERE / "equivalent").glob("*.toml"))
        for entry in tomllib.loads(file.read_text(encoding="utf-8"))["equivalent"]
    ]
