# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans of the module process: processes that are stopped, killed or asked to end, and units that crash in a loop."""

from __future__ import annotations

import difflib
import os
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import process_agent, process_select, procs, service_agent
from ansible_collections.halab.faults.plugins.module_utils.agent import Agent
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import common
from ansible_collections.halab.faults.plugins.module_utils.host import has_systemd
from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, Plan
from ansible_collections.halab.faults.plugins.module_utils.probes import output
from ansible_collections.halab.faults.plugins.module_utils.process_select import Selection
from ansible_collections.halab.faults.plugins.module_utils.procs import Process
from ansible_collections.halab.faults.plugins.module_utils.service_units import (
    look,
    reason_against,
    require_root,
    require_running,
)

PARTS = (service_agent.PART, process_select.PART, process_agent.PART)
MOST_TIMES = 10000
_STOPPED = ("T", "t")


def plan_of(parameters: Mapping[str, Any]) -> Plan:
    """Raises FaultError for what can be refused before anything changes."""
    _check_numbers(parameters)
    selection = selection_of(parameters)
    # An active fault is compared, not judged: what it selects is gone or stopped because of it.
    acting = Ledger(Path(parameters["ledger_dir"])).read(parameters["id"]) is not None
    agent = Agent(Path(parameters["ledger_dir"]), PARTS)
    if parameters["kind"] == "crash_loop":
        return _crash_loop(parameters, selection, agent, acting=acting)
    chosen = [] if acting else _chosen(selection, parameters["kind"])
    here = (str(agent.directory), parameters["id"])
    undo = [agent.argv("process-resume", *here)]
    gone, exclusive = [], selection.words
    if parameters["kind"] == "stop":
        observed = output(agent.argv("process-held", *here), "stopped")
        gone.append(output(agent.argv("process-held", *here), "running"))
    else:
        observed = output(agent.argv("process-ended", *here), "ended")
        owners, mains = _owners(chosen)
        if owners:
            undo.append(agent.argv("unit-start", *owners))
            gone.append(output(agent.argv("process-back", selection.returning.dump(), *owners), "back"))
        if mains:
            require_root(mains[0])
            exclusive = f"unit {mains[0]}"
    if parameters["kind"] == "terminate":
        gone.append(output(agent.argv("process-pending", *here), "nobody"))
    return _plan(
        parameters,
        selection,
        inject=(agent.argv("process-signal", *here, parameters["kind"], selection.dump()),),
        undo=tuple(undo),
        observed=(observed,),
        gone=tuple(gone),
        exclusive=exclusive if exclusive.startswith("unit ") else f"process {exclusive}",
    )


def selection_of(parameters: Mapping[str, Any]) -> Selection:
    """The selection that the parameters ask for. Raises FaultError unless they are one and understood."""
    given = [name for name in ("unit", "target") if parameters[name]]
    given += ["name, match"] if parameters["name"] or parameters["match"] else []
    if len(given) != 1:
        raise FaultError(
            f"unit, target, name, match: {' and '.join(given) if given else 'none'} given. Select processes by "
            "one of unit, target, or name with or without match. Nothing was changed."
        )
    if parameters["which"] and not parameters["unit"]:
        raise FaultError(f"which = {parameters['which']!r}: belongs to unit. Leave it out. Nothing was changed.")
    if parameters["match"]:
        _check_pattern(parameters["match"])
    if "/" in (parameters["name"] or ""):
        raise FaultError(
            f"name = {parameters['name']!r}: is a path. Give the name of the executable, or use match. "
            "Nothing was changed."
        )
    which = parameters["which"] or ("main" if parameters["unit"] else "")
    if which == "main" and (parameters["count"] or parameters["largest"]):
        raise FaultError(
            "count, largest: a unit has one main process. Leave them out, or choose which: children or all. "
            "Nothing was changed."
        )
    return Selection(
        unit=look(parameters["unit"]).name if parameters["unit"] else "",
        which=which,
        target=parameters["target"] or "",
        name=parameters["name"] or "",
        match=parameters["match"] or "",
        count=parameters["count"] or 0,
        largest=parameters["largest"],
    )


def _check_pattern(pattern: str) -> None:
    try:
        matches_all = re.compile(pattern).search("") is not None
    except re.error as error:
        raise FaultError(
            f"match = {pattern!r}: is not a regular expression ({error}). See the syntax of Python's module re. "
            "Nothing was changed."
        ) from error
    if matches_all:
        raise FaultError(
            f"match = {pattern!r}: matches every process. Give words of the command line. Nothing was changed."
        )


def _check_numbers(parameters: Mapping[str, Any]) -> None:
    for name in ("observed_within", "gone_within", "count"):
        value = parameters[name]
        if value is not None and value <= 0:
            raise FaultError(f"{name} = {value}: is not a positive number. Nothing was changed.")
    times = parameters["times"]
    if parameters["kind"] != "crash_loop" and times:
        raise FaultError(f"times = {times}: belongs to kind: crash_loop. Leave it out. Nothing was changed.")
    if not 0 <= times <= MOST_TIMES:
        raise FaultError(
            f"times = {times}: is not a number from 1 to {MOST_TIMES}, or 0 for until healed. Nothing was changed."
        )


def _plan(parameters: Mapping[str, Any], selection: Selection, **commands: Any) -> Plan:
    return Plan(
        **common(parameters),
        fault="process",
        target=f"{selection.words} ({parameters['kind']})",
        parts=PARTS,
        observed_within_s=parameters["observed_within"],
        gone_within_s=parameters["gone_within"],
        **commands,
    )


def _crash_loop(parameters: Mapping[str, Any], selection: Selection, agent: Agent, *, acting: bool) -> Plan:
    unit = selection.unit
    if selection.which != "main":
        raise FaultError(
            "unit: a crash loop is for the main process of a unit. Give unit, without which. Nothing was changed."
        )
    require_root(unit)
    if not acting:
        _chosen(selection, "kill")
    here = (str(agent.directory), parameters["id"])
    deadline_ns = time.monotonic_ns() + parameters["ttl"] * 10**9
    crash = agent.argv("process-crash", *here, unit, str(parameters["times"]), str(deadline_ns))
    return _plan(
        parameters,
        selection,
        inject=(agent.argv("spawn", *here, *crash),),
        undo=(agent.argv("reap", *here), agent.argv("unit-start", unit)),
        observed=(output(agent.argv("process-crashing", *here, str(parameters["times"])), "crashing"),),
        gone=(output(agent.argv("injecting", *here), "none"), output(agent.argv("unit-state", unit), "up")),
        exclusive=f"unit {unit}",
    )


def _chosen(selection: Selection, kind: str) -> list[Process]:
    """The processes that would be signalled now. Raises FaultError when there are none, or one must not be."""
    if selection.unit:
        require_running(selection.unit)
        reason = reason_against(selection.unit)
        if reason:
            raise FaultError(f"unit = {selection.unit!r}: {reason}. Choose another. Nothing was changed.")
    everyone = list(procs.every())
    main_pid = process_select.main_pid(selection.unit) if selection.unit else 0
    found = process_select.choose(selection, everyone, main_pid=main_pid)
    forbidden = process_select.protected(everyone)
    allowed = [process for process in found if process.pid not in forbidden]
    if not found:
        raise FaultError(f"{selection.words}: no such process runs here.{_similar(selection, everyone)}")
    if not allowed:
        first = found[0]
        raise FaultError(
            f"{selection.words}: finds only processes that must not be touched, as {process_select.label(first)}: "
            f"{forbidden[first.pid]}. Nothing was changed."
        )
    if kind == "stop" and all(process.state in _STOPPED for process in allowed):
        raise FaultError(
            f"{selection.words}: {process_select.label(allowed[0])} is stopped already. Continue it first "
            "(kill -CONT). Nothing was changed."
        )
    chosen = allowed[: selection.limit] if selection.limit else allowed
    for process in chosen:
        _require_permission(process)
    return chosen


def _require_permission(process: Process) -> None:
    try:
        os.kill(process.pid, 0)
    except PermissionError as error:
        raise FaultError(
            f"process {process_select.label(process)}: may not be signalled by user {os.geteuid()}. "
            "Run as root (become: true). Nothing was changed."
        ) from error
    except ProcessLookupError:
        pass


def _owners(chosen: Sequence[Process]) -> tuple[list[str], list[str]]:
    """Units that own the processes and can be started again, and those of them that lose their main process."""
    owners, mains = [], []
    for name in sorted({process.unit for process in chosen if process.unit.endswith(".service")}):
        unit = look(name) if has_systemd() else None
        if unit is None or not unit.runs or unit.transient:
            continue
        owners.append(unit.name)
        if unit.main_pid in {process.pid for process in chosen}:
            mains.append(unit.name)
    return owners, mains


def _similar(selection: Selection, everyone: Sequence[Process]) -> str:
    """What does run and comes near, in a sentence: names only, because command lines may hold secrets."""
    alike: list[str] = []
    if selection.unit:
        alike = [process_select.label(process) for process in everyone if process.unit == selection.unit]
    elif selection.target:
        known = process_select.KNOWN[selection.target]
        words = {selection.target.partition("_")[0], *re.findall("[a-z]{4,}", known.name), known.unit}
        alike = _having(words, everyone)
    else:
        alike = _having(set(re.findall("[A-Za-z]{3,}", selection.match)), everyone)
        names = {process.name for process in everyone if process.cmdline}
        near = difflib.get_close_matches(selection.name, names, n=5, cutoff=0.5) if selection.name else []
        alike += [process_select.label(process) for process in everyone if process.name in near]
    shown = ", ".join(dict.fromkeys(alike[:8]))
    return f" {'Similar ones are ' + shown if shown else 'Nothing similar runs either'}. Nothing was changed."


def _having(words: set[str], everyone: Sequence[Process]) -> list[str]:
    return [
        process_select.label(process)
        for process in everyone
        if process.cmdline and any(word.lower() in process.title.lower() for word in words)
    ]
