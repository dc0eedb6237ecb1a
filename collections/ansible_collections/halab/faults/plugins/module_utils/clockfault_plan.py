# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans of wrong clocks: what is asked, whether this machine or service can have it, and by which commands."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import (
    clockfault_kernel,
    clockfault_machine,
    clockfault_program,
    clockfault_skew,
    clockfault_unit,
    procs,
)
from ansible_collections.halab.faults.plugins.module_utils.agent import Agent
from ansible_collections.halab.faults.plugins.module_utils.clock import boot_id
from ansible_collections.halab.faults.plugins.module_utils.clockfault_skew import Skew
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import common
from ansible_collections.halab.faults.plugins.module_utils.host import (
    has_systemd,
    require_capability,
    require_program,
    unit_properties,
)
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, Plan
from ansible_collections.halab.faults.plugins.module_utils.probes import output, run

_PERIOD_S = 1.0
_CACHE_S = 1
# libfaketime counts whole seconds, and looks again when more than those of its cache have begun since.
_KNOWN_AFTER_S = _CACHE_S + 1
_NOTHING = "Nothing was changed."
# Each after those that it imports. Imported here as well, so that Ansible sends them to the machine.
_UNIT_PARTS = ("clockfault_skew", "clockfault_program", "clockfault_unit")
_MACHINE_PARTS = ("clockfault_skew", "clockfault_kernel", "clockfault_machine")
# A unit may take as long to stop and start as systemd lets it by default.
_GONE_WITHIN_S = 10.0
_OBSERVED_WITHIN_S = 5.0


def plan_of(parameters: Mapping[str, Any]) -> Plan:
    """Raises FaultError when the parameters are wrong or the machine cannot do it."""
    skew = skew_of(parameters)
    if parameters["scope"] == "unit":
        return _unit_plan(parameters, skew)
    return _machine_plan(parameters, skew)


def skew_of(parameters: Mapping[str, Any]) -> Skew:
    """What is asked. Raises FaultError naming the parameter that is wrong."""
    kind = parameters["kind"]
    wanted = {"step": ("offset",), "drift": ("rate",), "strobe": ("offset", "period")}[kind]
    for name in ("offset", "rate", "period"):
        given = parameters[name] is not None
        if given and name not in wanted:
            raise FaultError(f"{name} = {parameters[name]!r}: says nothing about kind={kind}. Leave it out. {_NOTHING}")
        if not given and name in wanted and name != "period":
            raise FaultError(f"{name}: is missing, and kind={kind} needs it. {_NOTHING}")
    checks: Mapping[str, Callable[[], float]] = {
        "offset": lambda: clockfault_skew.parse_offset(parameters["offset"]),
        "rate": lambda: clockfault_skew.checked_rate(parameters["rate"]),
        "period": lambda: clockfault_skew.checked_period(
            _PERIOD_S if parameters["period"] is None else parameters["period"]
        ),
    }
    values: dict[str, float] = {}
    for name in wanted:
        try:
            values[name] = checks[name]()
        except ValueError as error:
            raise FaultError(f"{name} = {parameters[name]!r}: {error} {_NOTHING}") from error
    return Skew(
        kind=kind,
        offset_s=values.get("offset", 0.0),
        rate=values.get("rate", 1.0),
        period_s=values.get("period", 0.0),
    )


def _deadline_ns(ttl_s: int) -> str:
    return str(time.monotonic_ns() + ttl_s * 1_000_000_000)


def _digest(parameters: Mapping[str, Any]) -> str:
    return hashlib.sha256(f"{parameters['ledger_dir']}\0{parameters['id']}".encode()).hexdigest()[:8]


def _machine_plan(parameters: Mapping[str, Any], skew: Skew) -> Plan:
    for name in ("unit", "time_command", "ready_command"):
        if parameters[name]:
            raise FaultError(f"{name} = {parameters[name]!r}: is about scope=unit. Leave it out. {_NOTHING}")
    _require_own_clock(parameters["controller_boot_id"])
    kernel = clockfault_kernel.system()
    reference = clockfault_kernel.Reference.now(kernel)
    if skew.kind == "drift":
        try:
            kernel.speed().times(skew.rate)
        except ValueError as error:
            raise FaultError(
                f"rate = {skew.rate:g}: {error}; a machine's clock can run 0.9 to 1.1 times as fast. Give that, or "
                f"use scope=unit. {_NOTHING}"
            ) from error
    keepers = [unit for unit in clockfault_machine.SYNC_UNITS if run(["systemctl", "is-active", unit])[1] == "active"]
    agent = Agent(Path(parameters["ledger_dir"]), _MACHINE_PARTS)
    ledger, marker = parameters["ledger_dir"], str(clockfault_unit.RUNTIME / f"{_digest(parameters)}.clock")
    moment = (boot_id(), str(reference.real_ns), str(reference.raw_ns), repr(reference.rate))
    seen = agent.argv("clock-machine-seen", *moment, *skew.words())
    begin = agent.argv("clock-skew", marker, *skew.words())
    undo = [agent.argv("clock-restore", marker, *keepers)]
    if skew.kind == "strobe":
        command = agent.argv("clock-strobe", marker, _deadline_ns(parameters["ttl"]), *skew.words())
        begin = agent.argv("spawn", ledger, parameters["id"], *command)
        undo.insert(0, agent.argv("reap", ledger, parameters["id"]))
    kept = [output(agent.argv("clock-keeping", *keepers), "kept")] if keepers else []
    return Plan(
        **common(parameters),
        fault="clock",
        target=f"machine ({skew})",
        exclusive="clock machine",
        parts=agent.parts,
        inject=(agent.argv("clock-hold", marker, *keepers), begin),
        undo=tuple(undo),
        observed=(output(seen, "skewed"),),
        gone=(output(seen, "right"), *kept),
        observed_within_s=_OBSERVED_WITHIN_S,
        gone_within_s=_GONE_WITHIN_S,
    )


def _require_own_clock(controller_boot_id: str) -> None:
    instead = "Use scope=unit with the name of a service."
    require_capability("CAP_SYS_TIME", purpose="setting the clock of a machine", instead=instead)
    code, container, _err = run(["systemd-detect-virt", "--container"])
    if code == 0 and container != "none":
        raise FaultError(
            f"scope = 'machine': this machine is a container ({container}), so its clock is that of its host and of "
            f"every neighbour there. {instead} {_NOTHING}"
        )
    if not controller_boot_id:
        raise FaultError(
            "controller_boot_id: is missing, so nobody knows whether the controller has the same clock. Give the "
            f"controller's /proc/sys/kernel/random/boot_id. {_NOTHING}"
        )
    if controller_boot_id.strip() == boot_id():
        raise FaultError(
            "scope = 'machine': the controller runs on the same kernel, so its clock would be wrong too. "
            f"{instead} {_NOTHING}"
        )


def _unit_plan(parameters: Mapping[str, Any], skew: Skew) -> Plan:
    wait = parameters["ready_within"]
    if wait <= 0:
        raise FaultError(f"ready_within = {wait}: is not a positive number of seconds. {_NOTHING}")
    for name in ("time_command", "ready_command"):
        if parameters[name]:
            require_program(parameters[name][0], package="that has it", purpose=name)
    library = clockfault_program.library()
    if library is None:
        raise FaultError(
            "libfaketime: is not installed, and scope=unit needs it. Install the package libfaketime, or run "
            f"playbooks/fault_tools.yml. {_NOTHING}"
        )
    unit = _reachable_unit(parameters["unit"], resumed=_drop_in_of(parameters))
    ledger = parameters["ledger_dir"]
    file = str(clockfault_unit.RUNTIME / f"{_digest(parameters)}.faketime")
    drop_in = str(clockfault_unit.UNITS / f"{unit}.d" / f"halab-{_digest(parameters)}.conf")
    agent = Agent(Path(ledger), _UNIT_PARTS)
    # Reading the file for every call costs 4 to 25 us, so a clock that changes once is looked at once a second.
    cache = f"FAKETIME_CACHE_DURATION={_CACHE_S}" if skew.kind == "step" else "FAKETIME_NO_CACHE=1"
    arm = agent.argv(
        *("clock-arm", unit, drop_in, file, str(library), cache, str(wait)),
        *(parameters["ready_command"] or parameters["time_command"]),
    )
    undo = [agent.argv("clock-release", unit, drop_in, file)]
    if skew.kind == "step":
        begin = agent.argv("clock-show", file, repr(skew.offset_s), str(_KNOWN_AFTER_S))
    else:
        command = agent.argv("clock-shift", file, _deadline_ns(parameters["ttl"]), *skew.words())
        begin = agent.argv("spawn", ledger, parameters["id"], *command)
        undo.insert(0, agent.argv("reap", ledger, parameters["id"]))
    return Plan(
        **common(parameters),
        fault="clock",
        target=f"{unit} ({skew})",
        exclusive=f"clock {unit}",
        parts=agent.parts,
        inject=(arm, begin),
        undo=tuple(undo),
        observed=(output(agent.argv("clock-seen", unit, file, *skew.words(), *parameters["time_command"]), "skewed"),),
        gone=(output(agent.argv("clock-preloaded", unit, drop_in, file), "none"),),
        observed_within_s=_OBSERVED_WITHIN_S,
        gone_within_s=_GONE_WITHIN_S,
    )


def _drop_in_of(parameters: Mapping[str, Any]) -> str:
    return f"halab-{_digest(parameters)}.conf"


def _reachable_unit(name: str, *, resumed: str) -> str:
    """The unit's own name, when it runs and its program can be given another time. `resumed`: a drop-in of ours."""
    if not name:
        raise FaultError(f"unit: is missing, and scope=unit needs it. Give the name of a service. {_NOTHING}")
    if not has_systemd():
        raise FaultError(
            f"unit = {name!r}: systemd does not manage this machine, so no service can be started with another time. "
            f"Use scope=machine where the machine has a clock of its own. {_NOTHING}"
        )
    found = unit_properties(name, "Id", "MainPID", "ActiveState", "Environment")
    unit, pid = found["Id"], int(found.get("MainPID") or 0)
    if not unit.endswith(".service") or found["ActiveState"] != "active" or not pid:
        raise FaultError(
            f"unit = {name!r}: is {found['ActiveState']} and has {'a' if pid else 'no'} main process. Give a service "
            f"that runs. {_NOTHING}"
        )
    if (clockfault_unit.UNITS / f"{unit}.d" / resumed).exists():
        return unit
    try:
        reason = clockfault_program.unreachable(pid)
        chrooted = [process for process in procs.of_unit(unit) if clockfault_program.root(process.pid) != "/"]
    except OSError as error:
        raise FaultError(f"unit = {name!r}: its process {pid} cannot be looked at ({error}). {_NOTHING}") from error
    if not reason and ("LD_PRELOAD=" in found["Environment"] or "FAKETIME" in found["Environment"]):
        reason = "its Environment= has LD_PRELOAD or FAKETIME already"
    if not reason and chrooted:
        where = clockfault_program.root(chrooted[0].pid)
        reason = (
            f"its process {chrooted[0].pid} ({chrooted[0].name}) is shut into {where}, where no file tells it a time"
        )
    if _carries_us(unit):
        raise FaultError(
            f"unit = {name!r}: is how this machine was reached, and a restart could cut that. Choose another service. "
            f"{_NOTHING}"
        )
    if reason:
        raise FaultError(
            f"unit = {name!r}: {reason}, so libfaketime cannot change the time that it sees. Choose another service, "
            f"or use scope=machine where the machine has a clock of its own. {_NOTHING}"
        )
    return unit


def _carries_us(unit: str) -> bool:
    """Whether this process, or one that it descends from, belongs to the unit."""
    process = procs.read(os.getpid())
    while process is not None:
        if process.unit == unit:
            return True
        process = procs.read(process.ppid)
    return False
