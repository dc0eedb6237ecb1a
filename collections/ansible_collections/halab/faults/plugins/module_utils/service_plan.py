# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans of the module service: a unit that is stopped, cannot be started, or starts slowly."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils.agent import Agent
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import common
from ansible_collections.halab.faults.plugins.module_utils.host import require_program
from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, Plan
from ansible_collections.halab.faults.plugins.module_utils.probes import output
from ansible_collections.halab.faults.plugins.module_utils.service_agent import PART, RUNTIME_UNITS
from ansible_collections.halab.faults.plugins.module_utils.service_units import (
    Unit,
    followers,
    look,
    refuse_unstoppable,
    require_root,
    require_running,
)

MOST_SECONDS = 3600
# A mask until the next boot is a link in /run. It hides unit files in these folders; those in /etc would hide it.
_MASKABLE = ("/usr/lib/systemd/system/", "/lib/systemd/system/", "/usr/local/lib/systemd/system/")


def plan_of(parameters: Mapping[str, Any]) -> Plan:
    """Raises FaultError for what can be refused before anything changes."""
    _check_numbers(parameters)
    # An active fault is compared, not judged: its unit is down because of it.
    acting = Ledger(Path(parameters["ledger_dir"])).read(parameters["id"]) is not None
    unit = look(parameters["unit"]) if acting else require_running(parameters["unit"])
    require_root(unit.name)
    others = [] if acting else followers(unit)
    agent = Agent(Path(parameters["ledger_dir"]), (PART,))
    if parameters["kind"] == "slow_start":
        return _slow_start(parameters, agent, unit, others)
    if not acting:
        refuse_unstoppable(unit, others)
    again = agent.argv("unit-start", unit.name, *others)
    gone = (output(agent.argv("unit-state", unit.name, *others), "up"),)
    stop = ("systemctl", "stop", "--", unit.name)
    if parameters["kind"] == "mask":
        if not acting:
            _refuse_unmaskable(unit)
        return _plan(
            parameters,
            agent,
            unit,
            inject=(("systemctl", "mask", "--quiet", "--runtime", "--", unit.name), stop),
            undo=(("systemctl", "unmask", "--quiet", "--runtime", "--", unit.name), again),
            observed=(output(agent.argv("unit-state", unit.name), "masked"),),
            gone=gone,
        )
    observed = (output(agent.argv("unit-state", unit.name), "down"),)
    return _plan(parameters, agent, unit, inject=(stop,), undo=(again,), observed=observed, gone=gone)


def _plan(parameters: Mapping[str, Any], agent: Agent, unit: Unit, **commands: Any) -> Plan:
    return Plan(
        **common(parameters),
        fault="service",
        target=f"{unit.name} ({parameters['kind']})",
        parts=agent.parts,
        observed_within_s=parameters["observed_within"],
        gone_within_s=parameters["gone_within"],
        exclusive=f"unit {unit.name}",
        **commands,
    )


def _slow_start(parameters: Mapping[str, Any], agent: Agent, unit: Unit, others: list[str]) -> Plan:
    seconds = parameters["seconds"]
    if not unit.name.endswith(".service"):
        raise FaultError(f"unit = {unit.name!r}: is no service, so its start takes no time. Nothing was changed.")
    if unit.start_timeout_s is not None and seconds >= unit.start_timeout_s:
        raise FaultError(
            f"seconds = {seconds}: {unit.name} must start within {unit.start_timeout_s:g} s (TimeoutStartSec), so it "
            "would never start. Give less, or use kind: mask. Nothing was changed."
        )
    if parameters["restart"]:
        refuse_unstoppable(unit, others)
    sleep = require_program("sleep", package="coreutils", purpose="a slow start")
    folder = RUNTIME_UNITS / f"{unit.name}.d"
    file = str(folder / f"halab-{parameters['id']}.conf")
    delay = (unit.name, sleep, str(seconds))
    pace = agent.argv("service-pace", file, unit.name)
    restart = (agent.argv("service-restart", *delay),) if parameters["restart"] else ()
    restarted = (unit.name, *(others if parameters["restart"] else []))
    keep = "folder" if folder.exists() else "nothing"
    return _plan(
        parameters,
        agent,
        unit,
        inject=(agent.argv("service-slow", file, *delay), *restart),
        undo=(agent.argv("service-swift", file, keep, *delay), agent.argv("unit-start", *restarted)),
        observed=(output(pace, "slow"),),
        gone=(output(pace, "normal"), output(agent.argv("unit-state", *restarted), "up")),
    )


def _check_numbers(parameters: Mapping[str, Any]) -> None:
    for name in ("observed_within", "gone_within"):
        if parameters[name] <= 0:
            raise FaultError(f"{name} = {parameters[name]}: is not a positive number of seconds. Nothing was changed.")
    slow = parameters["kind"] == "slow_start"
    if slow and not 1 <= (parameters["seconds"] or 0) <= MOST_SECONDS:
        raise FaultError(
            f"seconds = {parameters['seconds']}: a slow start takes from 1 to {MOST_SECONDS} seconds more. "
            "Nothing was changed."
        )
    for name in ("seconds", "restart"):
        if not slow and parameters[name]:
            raise FaultError(
                f"{name} = {parameters[name]}: belongs to kind: slow_start, not to {parameters['kind']}. Leave it out. "
                "Nothing was changed."
            )


def _refuse_unmaskable(unit: Unit) -> None:
    if not unit.file.startswith(_MASKABLE):
        raise FaultError(
            f"unit = {unit.name!r}: its file {unit.file or '(none)'} takes the place of a mask until the next boot "
            "(systemctl mask --runtime). Use kind: stop, or kind: slow_start. Nothing was changed."
        )
