# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which processes a fault is for: by unit, by name and command line, or by what the stack knows them as."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import procs, service_agent
from ansible_collections.halab.faults.plugins.module_utils.procs import Process

PART = "process_select"
_PAGE = os.sysconf("SC_PAGE_SIZE")
_AGENT = re.compile(r"/\.agent-[0-9a-f]+\.pyz\Z")
_SSH = re.compile(r"sshd(-session|-auth)?\Z")
_POSTGRES = r"postgres: (?:.+?: )?"


@dataclass(frozen=True, slots=True)
class Known:
    """How a process of the stack is found: its kernel name, its command line, and its place among such processes.

    `place`: ``top`` has no parent of the kind, ``below`` has one. `several`: all of them are meant, else one.
    `returns`: what shows that the service is whole again when one was killed.
    """

    name: str
    cmdline: str
    place: str
    unit: str
    means: str
    several: bool = True
    returns: str = ""


KNOWN: Mapping[str, Known] = {
    "postmaster": Known(r"postgres", r"(?!postgres: )", "top", "patroni", "the server process of PostgreSQL"),
    "backend": Known(
        r"postgres",
        _POSTGRES + r"(?!walsender )\S+ \S+ (?:\[local\]|\S+\(\d+\))(?: |\Z)",
        "any",
        "patroni",
        "one session of a client; those of other machines first, because Patroni's own are local",
        several=False,
        returns="postmaster",
    ),
    "walsender": Known(r"postgres", _POSTGRES + "walsender ", "any", "patroni", "senders of WAL", returns="postmaster"),
    "walreceiver": Known(
        r"postgres", _POSTGRES + r"walreceiver\b", "any", "patroni", "a replica's receiver of WAL", returns="postmaster"
    ),
    "checkpointer": Known(r"postgres", _POSTGRES + r"checkpointer\b", "any", "patroni", "PostgreSQL's checkpointer"),
    "patroni": Known(r".*", r"(?:\S*python\S* (?:-\S+ )*)?(?:\S*/)?patroni(?: |\Z)", "top", "patroni", "Patroni alone"),
    "etcd": Known(r"etcd", r"", "top", "etcd", "the member of etcd"),
    "redis": Known(
        r".*", r"\S*(?:redis|valkey)-server (?!.*\[sentinel\])", "top", "redis-server", "the server of Redis"
    ),
    "sentinel": Known(
        r".*", r"\S*(?:redis|valkey)-(?:server|sentinel) .*\[sentinel\]", "top", "redis-sentinel", "Redis Sentinel"
    ),
    "haproxy": Known(r"haproxy", r"", "any", "haproxy", "HAProxy's master and workers"),
    "haproxy_master": Known(r"haproxy", r"", "top", "haproxy", "HAProxy's master"),
    "haproxy_worker": Known(r"haproxy", r"", "below", "haproxy", "HAProxy's workers, which serve the connections"),
    "keepalived": Known(r"keepalived", r"", "any", "keepalived", "keepalived with its children"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """A unit and which of its processes, or a known target, or a name and a regular expression.

    `count`: how many at most, 0 for no limit. `largest`: in the order of resident memory, else the oldest first.
    """

    unit: str = ""
    which: str = ""
    target: str = ""
    name: str = ""
    match: str = ""
    count: int = 0
    largest: bool = False

    def dump(self) -> str:
        return json.dumps({name: value for name, value in dataclasses.asdict(self).items() if value})

    @classmethod
    def load(cls, text: str) -> Selection:
        return cls(**json.loads(text))

    @property
    def limit(self) -> int:
        """How many processes at most, 0 for no limit."""
        single = self.which == "main" or self.largest or (bool(self.target) and not KNOWN[self.target].several)
        return self.count or (1 if single else 0)

    @property
    def words(self) -> str:
        """What was asked for, the same for every host."""
        base = self.target or " and ".join(
            [
                *([f"{self.which} of {self.unit}"] if self.unit else []),
                *([f"name {self.name}"] if self.name else []),
                *([f"match {self.match!r}"] if self.match else []),
            ]
        )
        return f"{base}{', the largest' if self.largest else ''}{f', {self.count} at most' if self.count else ''}"

    @property
    def returning(self) -> Selection:
        """What must be there again when these were killed and their service is whole."""
        again = (KNOWN[self.target].returns or self.target) if self.target else ""
        return dataclasses.replace(self, target=again, count=0, largest=False)


def label(process: Process) -> str:
    """A process for people. Only PostgreSQL's titles are shown whole: other command lines may hold secrets."""
    title = process.title if process.title.startswith("postgres: ") else process.name
    return f"{process.pid} ({title}{f', {process.unit}' if process.unit else ''})"


def protected(everyone: Iterable[Process]) -> dict[int, str]:
    """Numbers of processes that no fault may touch, with the reason."""
    by_pid = {process.pid: process for process in everyone}
    reasons = {}
    here = _namespace("self")
    for pid, process in by_pid.items():
        if pid == 1:
            reasons[pid] = "it is PID 1"
        elif not process.cmdline:
            reasons[pid] = "it is the kernel's"
        elif _SSH.match(process.name):
            reasons[pid] = "it serves SSH, by which the machine is reached"
        elif any(_AGENT.search(word) for word in process.cmdline[:4]):
            reasons[pid] = "it is an agent of the faults themselves"
        elif here and _namespace(str(pid)) not in ("", here):
            # A host shows the processes of its containers, which are machines of their own, maybe of somebody else.
            reasons[pid] = "it runs in a container of this machine"
    pid = os.getpid()
    while pid in by_pid:
        reasons.setdefault(pid, "it carries out the fault")
        pid = by_pid[pid].ppid
    return reasons


def choose(selection: Selection, everyone: Sequence[Process], *, main_pid: int = 0) -> list[Process]:
    """The processes meant among `everyone`, those to be signalled first at the front. Protected ones are not left out.

    `main_pid`: the main process of the selection's unit.
    """
    if selection.unit:
        chosen = [process for process in everyone if process.unit == selection.unit]
        if selection.which != "all":
            chosen = [process for process in chosen if (process.pid == main_pid) == (selection.which == "main")]
    elif selection.target:
        chosen = _known(KNOWN[selection.target], everyone)
    else:
        chosen = [process for process in everyone if _named(process, selection.name, selection.match)]
    chosen.sort(key=lambda process: (process.pid != main_pid, process.started, process.pid))
    if selection.target == "backend":
        chosen.sort(key=_is_local)
    if selection.largest:
        chosen.sort(key=resident_bytes, reverse=True)
    return chosen


def select(selection: Selection) -> list[Process]:
    """The processes of this machine that are meant and may be touched; within the limit."""
    everyone = list(procs.every())
    forbidden = protected(everyone)
    chosen = choose(selection, everyone, main_pid=main_pid(selection.unit) if selection.unit else 0)
    allowed = [process for process in chosen if process.pid not in forbidden]
    return allowed[: selection.limit] if selection.limit else allowed


def main_pid(unit: str) -> int:
    """The number of the unit's main process, 0 when it has none."""
    return int(service_agent.properties(unit, "MainPID").get("MainPID") or 0)


def resident_bytes(process: Process) -> int:
    """Memory that the process has in RAM, shared pages included; 0 once it is gone."""
    try:
        return int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1]) * _PAGE
    except (OSError, IndexError, ValueError):
        return 0


def _namespace(pid: str) -> str:
    """The space in which a process has its number; empty when it cannot be told."""
    try:
        return os.readlink(f"/proc/{pid}/ns/pid")
    except OSError:
        return ""


def _known(known: Known, everyone: Sequence[Process]) -> list[Process]:
    name, cmdline = re.compile(known.name), re.compile(known.cmdline)
    alike = [
        process
        for process in everyone
        if process.cmdline and name.fullmatch(process.name) and cmdline.match(process.title)
    ]
    pids = {process.pid for process in alike}
    return [process for process in alike if known.place == "any" or (process.ppid in pids) == (known.place == "below")]


def _named(process: Process, name: str, match: str) -> bool:
    if match and not re.search(match, process.title):
        return False
    return not name or name in (process.name, _program(process), _executable(process))


def _program(process: Process) -> str:
    return os.path.basename(process.cmdline[0].split(" ")[0]) if process.cmdline else ""


def _executable(process: Process) -> str:
    try:
        return os.path.basename(os.readlink(f"/proc/{process.pid}/exe")).removesuffix(" (deleted)")
    except OSError:
        return ""


def _is_local(process: Process) -> bool:
    return "[local]" in process.title or " 127." in process.title or " ::1(" in process.title


def _back(arguments: Sequence[str]) -> int:
    """SELECTION UNIT...: say `back` when a process of the selection is there and the units run, else `missing`."""
    selection = Selection.load(arguments[0])
    chosen = select(selection)
    units = [service_agent.is_up(unit) for unit in arguments[1:]]
    whole = bool(chosen) and all(up for up, _words in units)
    sys.stdout.write("back\n" if whole else "missing\n")
    found = f"process {label(chosen[0])} is there" if chosen else "there is none"
    sys.stdout.write(f"{selection.words}: {found}\n")
    sys.stdout.write("".join(f"{words}\n" for _up, words in units))
    return 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {"process-back": _back}
