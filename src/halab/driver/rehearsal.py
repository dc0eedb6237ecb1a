"""Every fault of a scenario in check mode, so that what a host cannot do is refused before anything changes."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from halab.driver.runner import Plays
from halab.driver.selectors import NoTarget, Selectors
from halab.scenario import Fault, Scenario

AT_ONCE = 3
TTL_S = 60


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a fault cannot be carried out; `fault` is None when no machine is what its target asks for."""

    fault: Fault | None
    reason: str

    def __str__(self) -> str:
        return self.reason


def refusals(scenario: Scenario, plays: Plays, selectors: Selectors) -> list[Refusal]:
    """Why these faults cannot be carried out on the cluster as it is now; empty when all can."""
    distinct: dict[str, tuple[Fault, str]] = {}
    chosen: dict[str, str] = {}
    for fault in scenario.faults:
        if fault.target not in chosen:
            try:
                # One machine stands for its peers.
                chosen[fault.target] = selectors.resolve(fault.target)[0]
            except NoTarget as error:
                return [Refusal(None, str(error))]
        target = chosen[fault.target]
        distinct.setdefault(f"{fault.fault} {target} {sorted(fault.parameters.items())}", (fault, target))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(lambda numbered: _refusal(plays, *numbered), enumerate(distinct.values(), start=1))
    return [refusal for refusal in found if refusal is not None]


def _refusal(plays: Plays, number: int, chosen: tuple[Fault, str]) -> Refusal | None:
    fault, target = chosen
    extra_vars: Mapping[str, Any] = {
        "fault_id": f"rehearsal-{number}",
        "fault_target": target,
        "fault_hold": 0,
        "fault_ttl": TTL_S,
        **{f"fault_{key}": value for key, value in fault.parameters.items()},
    }
    name = f"rehearsal-{number}"
    plays.log(name).unlink(missing_ok=True)
    result = plays.run(f"faults/{fault.fault}", extra_vars, name=name, check=True)
    if result.ok:
        return None
    reasons = "; ".join(result.problems) or "its playbook failed in check mode"
    return Refusal(fault, f"fault {fault.fault} on {target}: {reasons}")
