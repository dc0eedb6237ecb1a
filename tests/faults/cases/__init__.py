"""Cases of the contract: for each family a module CASES here, each case one way to use one fault module.

    CASES = [Case(name="disk-full", module="disk", parameters={...}, acting="shell that exits 0 while it acts")]

Strings in a case may hold `@m1@` (address of the machine on which the fault acts), `@m2@`, `@m3@` (its peers),
`@state@` (halab_state_dir of the lab) and `@power@` (the lab's power switch).
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

MODULES = Path(__file__).resolve().parents[3] / "collections/ansible_collections/halab/faults/plugins/modules"
# These read or undo faults of any kind, or tell about them: they bring none about.
NO_FAULTS = {"drill", "heal", "info", "mark"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One use of a fault module, and how to see that it acts without asking the module.

    `acting`: shell text that ends with code 0 exactly while the fault acts. `prepare` and `cleanup`: shell text around
    each scenario, `cleanup` in any case; together they must leave no trace. All run where the module runs: on a machine
    of the lab, or on the controller for a fault that it carries out itself.
    `outlives_boot`: the effect stays when the machine restarts, so the sweep at boot must take it back.
    """

    name: str
    module: str
    acting: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    prepare: str = ""
    cleanup: str = ""
    outlives_boot: bool = False
    where: Literal["node", "controller"] = "node"

    def filled(self, values: Mapping[str, str]) -> Case:
        """The case with what it says between @ signs replaced."""
        return replace(
            self,
            acting=_fill(self.acting, values),
            parameters=_fill(dict(self.parameters), values),
            prepare=_fill(self.prepare, values),
            cleanup=_fill(self.cleanup, values),
        )


def _fill(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for name, text in values.items():
            value = value.replace(f"@{name}@", text)
        return value
    if isinstance(value, dict):
        return {key: _fill(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_fill(item, values) for item in value]
    return value


def families() -> dict[str, list[Case]]:
    """The cases of every family by the name of its file here."""
    names = sorted(path.stem for path in Path(__file__).parent.glob("[a-z]*.py"))
    return {name: list(importlib.import_module(f"tests.faults.cases.{name}").CASES) for name in names}


def fault_modules() -> set[str]:
    """Modules of the collection that bring a fault about."""
    return {path.stem for path in MODULES.glob("[a-z]*.py")} - NO_FAULTS
