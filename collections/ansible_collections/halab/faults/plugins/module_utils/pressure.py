# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Faults of pressure as plans, one function for each kind."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import pressure_connections
from ansible_collections.halab.faults.plugins.module_utils.host import require_capability
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, Plan
from ansible_collections.halab.faults.plugins.module_utils.pressure_host import (
    available_bytes,
    check_room,
    group_file,
    members_of,
)
from ansible_collections.halab.faults.plugins.module_utils.pressure_request import OBSERVED_WITHIN_S, Request
from ansible_collections.halab.faults.plugins.module_utils.probes import output

OUTSIDE = "Limit the whole machine from outside (halab.faults.limits)."
_SECONDS_PER_BYTE = 1 / 100e6


def cpu_burn(request: Request) -> Plan:
    workers = request.number("workers", least=0, most=1024) or os.cpu_count() or 1
    percent = request.number("percent", least=1, most=100) if request["percent"] is not None else 100
    return request.injected(
        target=f"processor ({workers} x {percent} %)",
        exclusive=f"pressure cpu_burn {request.id}",
        injector=request.agent.argv("pressure-burn", request.deadline, str(workers), str(percent)),
        acts=request.state("pressure-burning", "burning", str(workers * percent)),
    )


def cpu_quota(request: Request) -> Plan:
    unit = request.word("unit")
    if request["method"] == "stopping":
        return _stopping(request, unit)
    percent = request.number("percent", least=1)
    instead = f"Use method: stopping. {OUTSIDE}"
    return _grouped(
        request, unit, f"{percent} % of a processor", "cpu", "cpu.cfs_quota_us", "cpu.max", instead,
        lambda file: _quota(file, percent),
    )  # fmt: skip


def _quota(file: Path, percent: int) -> str:
    if file.name == "cpu.max":
        period = int(file.read_text(encoding="ascii").split()[1])
        return f"{percent * period // 100} {period}"
    return str(percent * int(file.with_name("cpu.cfs_period_us").read_text(encoding="ascii")) // 100)


def _stopping(request: Request, unit: str) -> Plan:
    percent = request.number("percent", least=1, most=99)
    members_of(unit)
    return request.injected(
        target=f"{unit} (runs {percent} % of the time)",
        exclusive=f"pressure cpu {unit}",
        injector=request.agent.argv("pressure-stop", request.note, request.deadline, unit, str(percent)),
        undo=(request.agent.argv("pressure-continue", request.note),),
        acts=request.state("pressure-stopped", "slowed", unit, str(percent)),
    )


def memory_limit(request: Request) -> Plan:
    size = request.number("bytes", least=1 << 20)
    old, new = "memory.limit_in_bytes", "memory.max"
    return _grouped(
        request, request.word("unit"), f"{size} bytes of memory", "memory", old, new, OUTSIDE, lambda _file: str(size)
    )


def pids(request: Request) -> Plan:
    unit, leave = request.word("unit"), request.number("leave", least=0)
    if request["method"] == "rlimit":
        return _no_processes(request, unit, leave)
    instead = f"Use method: rlimit, unless the unit runs as root. {OUTSIDE}"

    def limit(file: Path) -> str:
        return str(int(file.with_name("pids.current").read_text(encoding="ascii")) + leave)

    return _grouped(request, unit, f"{leave} more processes", "pids", "pids.max", "pids.max", instead, limit)


def _grouped(
    request: Request,
    unit: str,
    what: str,
    controller: str,
    old: str,
    new: str,
    instead: str,
    value: Callable[[Path], str],
) -> Plan:
    file = group_file(unit, members_of(unit)[0].pid, controller, old, new, instead=instead)
    agent, note = request.agent, request.note
    return request.plan(
        target=f"{unit} ({what})",
        exclusive=f"pressure {controller} {unit}",
        inject=agent.argv("pressure-group", note, str(file), value(file)),
        undo=(agent.argv("pressure-ungroup", note),),
        acts=output(agent.argv("pressure-grouped", note), "limited"),
        gone=output(agent.argv("pressure-grouped", note), "free"),
    )


def _no_processes(request: Request, unit: str, leave: int) -> Plan:
    if leave:
        raise FaultError(
            f"leave = {leave}: with method = rlimit the limit counts all processes of the user, so none can be left. "
            "Give 0. Nothing was changed."
        )
    members = members_of(unit)
    if any(os.stat(f"/proc/{process.pid}").st_uid == 0 for process in members):
        raise FaultError(
            f"unit = {unit!r}: runs as root, whose processes the kernel does not count. {OUTSIDE} Nothing was changed."
        )
    return _lowered(request, unit, "pids", "no more processes", [process.key for process in members])


def files(request: Request) -> Plan:
    unit, leave = request.word("unit"), request.number("leave", least=0)
    return _lowered(request, unit, "files", f"{leave} more descriptors", [members_of(unit)[0].key])


def _lowered(request: Request, unit: str, kind: str, what: str, keys: list[str]) -> Plan:
    agent, note = request.agent, request.note
    return request.plan(
        target=f"{unit} ({what})",
        exclusive=f"pressure {kind} {unit}",
        inject=agent.argv("pressure-lower", note, kind, str(request["leave"]), unit, *keys),
        undo=(agent.argv("pressure-raise", note),),
        acts=output(agent.argv("pressure-lowered", note), "limited"),
        gone=output(agent.argv("pressure-lowered", note), "free"),
    )


def memory_hog(request: Request) -> Plan:
    if (request["bytes"] is None) == (request["percent"] is None):
        raise FaultError("bytes, percent: give exactly one of them for kind = memory_hog. Nothing was changed.")
    available = available_bytes()
    if request["bytes"] is not None:
        size = request.number("bytes", least=1 << 20)
    else:
        size = max(1 << 20, available * request.number("percent", least=1, most=200) // 100)
    if not request["spare"]:
        require_capability(
            "CAP_SYS_RESOURCE",
            purpose="keeping the hog from being killed first (spare: false)",
            instead=f"Use spare: true. {OUTSIDE}",
        )
    elif size > available and not request.acting:
        raise FaultError(
            f"bytes = {size}: {available} are available, so the hog itself would be killed at once. "
            "Give less, or spare: false. Nothing was changed."
        )
    score = "1000" if request["spare"] else "-1000"
    return request.injected(
        target=f"memory ({size >> 20} MiB)"
        if request["bytes"]
        else f"memory ({request['percent']} % of the available)",
        exclusive=f"pressure memory_hog {request.id}",
        injector=request.agent.argv("pressure-hold-memory", request.note, request.deadline, str(size), score),
        acts=request.state("pressure-memory-held", "held"),
        observed_within_s=OBSERVED_WITHIN_S + size * _SECONDS_PER_BYTE,
    )


def io_hog(request: Request) -> Plan:
    folder = request.word("path")
    size = request.number("bytes", least=1 << 20)
    workers = request.number("workers", least=0, most=64) or 1
    if size // workers < 4096:
        raise FaultError(f"workers = {workers}: are too many for {size} bytes. Nothing was changed.")
    if not request.acting:
        check_room(folder, size)
    return request.injected(
        target=f"{folder} ({workers} writers)",
        exclusive=f"pressure io_hog {request.id}",
        injector=request.agent.argv("pressure-write", request.deadline, folder, str(size), str(workers)),
        acts=request.state("pressure-writing", "writing"),
    )


def connections(request: Request) -> Plan:
    count = request.number("count", least=0, most=1_000_000)
    if bool(request["socket"]) == bool(request["address"]):
        raise FaultError(
            "socket, address: give exactly one of them for kind = connections: the local socket of PostgreSQL, or "
            "address and port of any server. Nothing was changed."
        )
    return _sessions(request, count) if request["socket"] else _tcp(request, count)


def _tcp(request: Request, count: int) -> Plan:
    address, port = request.word("address"), str(request.number("port", least=1, most=65535))
    try:
        ipaddress.ip_address(address)
    except ValueError as error:
        raise FaultError(f"address = {address!r}: is not an address ({error}). Nothing was changed.") from error
    return request.injected(
        target=f"{address} port {port} ({count or 'all'} connections)",
        exclusive=f"pressure connections {address} {port}",
        injector=request.agent.argv("pressure-connections", request.note, request.deadline, str(count), address, port),
        acts=request.state("pressure-connections-held", "held", str(count)),
    )


def _sessions(request: Request, count: int) -> Plan:
    path, user, database = (request.word(name) for name in ("socket", "user", "database"))
    if not request.acting:
        try:
            pressure_connections.login(path, user, database).close()
        except (pressure_connections.RefusedError, KeyError) as error:
            raise FaultError(
                f"socket = {path!r}: {user} cannot log in to {database} there ({error}). Give the socket of a running "
                "server that lets the account of that name in by peer authentication. Nothing was changed."
            ) from error
    place = (str(count), path, user, database)
    return request.injected(
        target=f"{path} ({count or 'all'} sessions)",
        exclusive=f"pressure connections {path}",
        injector=request.agent.argv("pressure-sessions", request.note, request.deadline, *place),
        acts=request.state("pressure-sessions-held", "held" if count else "exhausted", *place),
        gone=request.state("pressure-sessions-held", "free", *place),
        observed_within_s=3 * OBSERVED_WITHIN_S,
    )


KINDS: Mapping[str, Callable[[Request], Plan]] = {
    "cpu_burn": cpu_burn,
    "cpu_quota": cpu_quota,
    "memory_limit": memory_limit,
    "memory_hog": memory_hog,
    "io_hog": io_hog,
    "connections": connections,
    "files": files,
    "pids": pids,
}
METHODS = {"cgroup": tuple(KINDS), "stopping": ("cpu_quota",), "rlimit": ("pids",)}


def plan_of(parameters: Mapping[str, Any]) -> Plan:
    """The plan of a module's parameters; looks, and changes nothing. Raises FaultError."""
    kind, method = parameters["kind"], parameters["method"]
    if kind is None:
        raise FaultError(f"kind: is missing. Give one of {', '.join(KINDS)}. Nothing was changed.")
    if kind not in METHODS[method]:
        raise FaultError(
            f"method = {method}: is for kind = {', '.join(METHODS[method])}, not for {kind}. Nothing was changed."
        )
    return KINDS[kind](Request(parameters))
