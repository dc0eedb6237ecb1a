"""The faults there are: each a playbook, which says itself what it takes and what it needs of a machine."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from halab.errors import HalabError
from halab.inventory import repository
from halab.schema import closest

CONTRACT: Final = ("id", "target", "run", "hold", "ttl")
"""Variables fault_* that whoever carries a fault out sets; all others are its parameters."""
_IMPORTS: Final = ("import_playbook", "ansible.builtin.import_playbook")
_PARAMETER = re.compile(r"\bfault_([a-z0-9_]+)\b")
_COMMENT = re.compile(r"(^|\s)#.*")


@dataclass(frozen=True, slots=True)
class FaultSpec:
    """A fault and the names of its parameters."""

    name: str
    parameters: tuple[str, ...]

    def unknown(self, given: Mapping[str, Any]) -> list[tuple[str, str]]:
        """Each given parameter that the fault does not have, with the fix."""
        known = ", ".join(self.parameters) or "none"
        return [
            (name, closest(name, self.parameters) + f"Parameters of {self.name}: {known}.")
            for name in given
            if name not in self.parameters
        ]


def folder() -> Path:
    return repository() / "playbooks/faults"


def names() -> tuple[str, ...]:
    """The faults of the repository: one playbook each."""
    return tuple(sorted(path.stem for path in folder().glob("*.yml")))


def spec(name: str) -> FaultSpec:
    """What the playbook of a fault says. Raises HalabError when it cannot be read, KeyError when there is none."""
    path = folder() / f"{name}.yml"
    if not path.is_file():
        raise KeyError(name)
    return _read(path)


@cache
def _read(path: Path) -> FaultSpec:
    try:
        text = path.read_text(encoding="utf-8")
        plays = yaml.load(text, Loader=_Tolerant)  # noqa: S506 (a SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise HalabError(f"{path}: cannot be read as a playbook: {error}") from error
    code = "\n".join(_COMMENT.sub("", line) for line in text.splitlines())
    found = set(_PARAMETER.findall(code))
    for play in plays or ():
        imported = next((play[key] for key in _IMPORTS if key in play), None)
        if imported is not None:
            # What the importing playbook settles is no parameter of it any more.
            settled = {name.removeprefix("fault_") for name in play.get("vars") or {}}
            found = (found | set(_read(path.parent / str(imported)).parameters)) - settled
    return FaultSpec(path.stem, tuple(sorted(found - set(CONTRACT))))


class _Tolerant(yaml.SafeLoader):
    """Reads a playbook with Ansible's own tags, whose values do not matter here."""


_Tolerant.add_multi_constructor("!", lambda _loader, _suffix, _node: None)
