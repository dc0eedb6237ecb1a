# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A request for pressure: its checked parameters, and what the plans of all kinds have in common."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import (
    pressure_connections,
    pressure_hogs,
    pressure_record,
    pressure_units,
)
from ansible_collections.halab.faults.plugins.module_utils.agent import Agent
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import common
from ansible_collections.halab.faults.plugins.module_utils.ledger import Argv, Ledger
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, Plan
from ansible_collections.halab.faults.plugins.module_utils.probes import Probe, output

PARTS = tuple(
    part.__name__.rpartition(".")[2] for part in (pressure_record, pressure_hogs, pressure_units, pressure_connections)
)
OBSERVED_WITHIN_S = 10.0
_GONE_WITHIN_S = 10.0


class Request:
    """The parameters of one fault, with what every kind needs."""

    def __init__(self, parameters: Mapping[str, Any]) -> None:
        self.parameters = parameters
        self.directory = Path(parameters["ledger_dir"])
        self.id: str = parameters["id"]
        self.agent = Agent(self.directory, PARTS)
        self.note = str(pressure_record.path_of(self.directory, self.id))
        self.deadline = str(time.monotonic_ns() + parameters["ttl"] * 10**9)
        # What is refused at the beginning may rightly be so while the fault acts.
        self.acting = Ledger(self.directory).read(self.id) is not None

    def __getitem__(self, name: str) -> Any:
        return self.parameters[name]

    def number(self, name: str, *, least: int, most: int | None = None) -> int:
        """A parameter that must be given. Raises FaultError."""
        value = self.parameters[name]
        if value is None:
            raise FaultError(f"{name}: is missing, kind = {self['kind']} needs it. Nothing was changed.")
        if value < least or (most is not None and value > most):
            limits = f"from {least} to {most}" if most is not None else f"of {least} or more"
            raise FaultError(f"{name} = {value}: is not a number {limits}. Nothing was changed.")
        return int(value)

    def word(self, name: str) -> str:
        """A parameter that must be given. Raises FaultError."""
        if not self.parameters[name]:
            raise FaultError(f"{name}: is missing, kind = {self['kind']} needs it. Nothing was changed.")
        return str(self.parameters[name])

    def plan(self, *, target: str, inject: Argv, undo: tuple[Argv, ...], acts: Probe, gone: Probe, **more: Any) -> Plan:
        # While it is being observed nobody else may heal it, so that must end long before its time to live.
        within_s = min(more.pop("observed_within_s", OBSERVED_WITHIN_S), self["ttl"] / 2)
        return Plan(
            **common(self.parameters),
            **more,
            fault="pressure",
            target=target,
            parts=PARTS,
            inject=(inject,),
            undo=undo,
            observed=(acts,),
            gone=(gone,),
            observed_within_s=within_s,
            gone_within_s=_GONE_WITHIN_S,
        )

    def injected(self, *, target: str, injector: Argv, undo: tuple[Argv, ...] = (), acts: Probe, **more: Any) -> Plan:
        """A fault that is an injector, and is gone with it."""
        place = (str(self.directory), self.id)
        return self.plan(
            target=target,
            inject=self.agent.argv("spawn", *place, *injector),
            undo=(self.agent.argv("reap", *place), *undo, self.agent.argv("pressure-forget", self.note)),
            acts=acts,
            **({"gone": output(self.agent.argv("injecting", *place), "none")} | more),
        )

    def state(self, command: str, expected: str, *arguments: str) -> Probe:
        return output(self.agent.argv(command, str(self.directory), self.id, *arguments), expected)
