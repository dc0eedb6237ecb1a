"""Machines for faults: what a test does with each, and how it looks before and after."""

from __future__ import annotations

import contextlib
import functools
import json
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.faults.support.lab import NAMES, SUPPORT, Lab, ModuleFailed, Started
from tests.faults.support.snapshot import Snapshot

# A guardian notices within a second that its entry is gone, and systemd forgets its unit after that.
SETTLED_WITHIN_S = 6.0
COMMAND_WITHIN_S = 90.0
NOTHING: Mapping[str, Any] = MappingProxyType({})


class CommandFailed(Exception):  # noqa: N818 (the name that tests read best)
    """A command on a machine ended with another code than 0."""


@dataclass(slots=True, kw_only=True)
class Machine:
    """What every machine of a test offers: its commands, halab's modules, and the look of it."""

    name: str
    lab: Lab
    before: Snapshot | None = field(default=None, repr=False)
    restarted: bool = False
    _seen: int = field(default=-1, repr=False)

    def run(self, text: str, *, check: bool = True, given: str = "") -> str:
        """Run shell text as root with `given` as its input; what it printed.

        Raises CommandFailed unless `check` is false.
        """
        self.remember()
        done = self._execute(text, given)
        if check and done.returncode != 0:
            raise CommandFailed(f"{self.name}: `{text}` ended with code {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout.strip()

    def holds(self, text: str) -> bool:
        """Whether shell text ends with code 0."""
        self.remember()
        return self._execute(text, "").returncode == 0

    def module(
        self,
        name: str,
        given: Mapping[str, Any] = NOTHING,
        /,
        *,
        check: bool = False,
        diff: bool = False,
        **parameters: Any,
    ) -> dict[str, Any]:
        """Run halab.faults.<name> by Ansible; its result. Raises ModuleFailed.

        `given` are parameters too, and the way for those that are called `check` or `diff` as Ansible's modes are.
        """
        return self.start_module(name, given, check=check, diff=diff, **parameters).result()

    def start_module(
        self,
        name: str,
        given: Mapping[str, Any] = NOTHING,
        /,
        *,
        check: bool = False,
        diff: bool = False,
        **parameters: Any,
    ) -> Started:
        """Start a module and return at once."""
        self.remember()
        arguments = {**self.defaults, **given, **parameters}
        options = [*(["--check"] if check else []), *(["--diff"] if diff else [])]
        options += ["-a", json.dumps(arguments)] if arguments else []
        return self.lab.ansible(self.ansible_name, "-m", f"halab.faults.{name}", *options)

    @contextlib.contextmanager
    def fault(
        self, module: str, given: Mapping[str, Any] = NOTHING, /, *, ttl: int = 20, **parameters: Any
    ) -> Iterator[dict[str, Any]]:
        """A fault under a fresh id for as long as the block runs; gives the module's result."""
        asked = {"id": f"test-{module}-{uuid.uuid4().hex[:8]}", "ttl": ttl, **given, **parameters}
        try:
            yield self.module(module, asked)
        finally:
            self.module(module, {**asked, "state": "healed"})

    def entries(self) -> list[dict[str, Any]]:
        """What the ledger of this machine holds."""
        return list(self.module("info")["entries"])

    def snapshot(self) -> Snapshot:
        """What a fault may touch, as it is now."""
        raise NotImplementedError

    def await_equal(self, wanted: Snapshot, *, within_s: float = SETTLED_WITHIN_S) -> str:
        """Wait until the machine looks as `wanted`; empty, or what differs when the time is up.

        Once the test has restarted the machine, what a restart decides does not count.
        """
        deadline = time.monotonic() + within_s
        while True:
            now = self.snapshot()
            difference = (
                wanted.after_restart().difference(now.after_restart()) if self.restarted else wanted.difference(now)
            )
            if not difference or time.monotonic() > deadline:
                return difference
            time.sleep(0.2)

    def await_holds(self, text: str, *, within_s: float) -> None:
        """Wait until shell text ends with code 0. Raises CommandFailed when it does not in time."""
        deadline = time.monotonic() + within_s
        while not self.holds(text):
            if time.monotonic() > deadline:
                raise CommandFailed(f"{self.name}: `{text}` did not hold within {within_s:g} s")
            time.sleep(0.1)

    def remember(self) -> None:
        """Before a test's first act on this machine: how it looks."""
        if self._seen != self.lab.generation:
            self._seen = self.lab.generation
            self.restarted = False
            self.before = self.snapshot()

    @property
    def used(self) -> bool:
        """Whether the current test did anything here."""
        return self._seen == self.lab.generation

    @property
    def ansible_name(self) -> str:
        return self.name

    @property
    def defaults(self) -> dict[str, Any]:
        """Parameters that every module gets on this machine unless a test says otherwise."""
        return {}

    def _execute(self, text: str, standard_input: str) -> subprocess.CompletedProcess[str]:
        raise NotImplementedError


@dataclass(slots=True, kw_only=True)
class Node(Machine):
    """A machine of the lab, reached over SSH."""

    address: str
    ssh: tuple[str, ...]
    switch: Path

    def snapshot(self) -> Snapshot:
        done = self._execute("python3 -I -", _node_state())
        if done.returncode != 0:
            raise CommandFailed(f"{self.name}: its state cannot be read: {done.stderr}")
        return Snapshot.of(json.loads(done.stdout))

    def power(self, verb: str) -> str:
        """Turn the lab's power switch `off` or `on`, or ask its `state`."""
        self.remember()
        self.restarted = self.restarted or verb == "on"
        done = subprocess.run([self.switch, verb, self.name], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def await_up(self, *, within_s: float = 30.0) -> None:
        """Wait until the machine has finished to start. Raises CommandFailed when it does not in time."""
        deadline = time.monotonic() + within_s
        while self._execute("systemctl is-system-running", "").stdout.strip() not in ("running", "degraded"):
            if time.monotonic() > deadline:
                raise CommandFailed(f"{self.name}: did not finish to start within {within_s:g} s")
            time.sleep(0.1)

    def cut_ssh(self) -> None:
        """Kill the server's side of every SSH session, as a firewall or a crash of sshd would end them."""
        sessions = self.run("pgrep -x sshd-session || pgrep -f '^sshd: root'").split()
        # Detached, because the command's own session is among them.
        self.run(f"setsid --fork kill -9 {' '.join(sessions)} >/dev/null 2>&1 </dev/null", check=False)
        deadline = time.monotonic() + COMMAND_WITHIN_S
        # Code 255 is what ssh says of itself, as long as it has not noticed that its connection is dead.
        while self._execute(f"! kill -0 {' '.join(sessions)} 2>/dev/null", "").returncode != 0:
            if time.monotonic() > deadline:
                raise CommandFailed(f"{self.name}: does not take new SSH sessions after the old ones were killed")
            time.sleep(0.1)

    def _execute(self, text: str, standard_input: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.ssh, "--", text], input=standard_input, capture_output=True, text=True, timeout=COMMAND_WITHIN_S,
            check=False,
        )  # fmt: skip


@dataclass(slots=True, kw_only=True)
class Controller(Machine):
    """This host, as far as it is the lab's controller: it keeps the ledger of faults that it carries out itself."""

    state: Path
    switch: Path

    @property
    def ansible_name(self) -> str:
        return "localhost"

    @property
    def ledger(self) -> Path:
        return self.state / "ledger"

    @property
    def defaults(self) -> dict[str, Any]:
        return {"ledger_dir": str(self.ledger)}

    def snapshot(self) -> Snapshot:
        marks = ("journal", "agent-")
        files = sorted(path.name for path in self.ledger.glob("*") if not path.name.removeprefix(".").startswith(marks))
        power = [f"{name}: {self._execute(f'{self.switch} state {name}', '').stdout.strip()}" for name in NAMES]
        mine = str(self.ledger)
        titles = []
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                title = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                # Ansible's own processes name the ledger too, in the arguments of the module.
                if mine in title and ".agent-" in title:
                    titles.append(title.strip())
        return Snapshot.of({"ledger": files, "power": power, "processes": sorted(titles)})

    def _execute(self, text: str, standard_input: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", text], input=standard_input, capture_output=True, text=True, timeout=COMMAND_WITHIN_S,
            check=False,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Nodes:
    """The machines of the session's lab by name, and the controller beside them."""

    lab: Lab
    machines: Mapping[str, Node]
    controller: Controller

    def __getitem__(self, name: str) -> Node:
        return self.machines[name]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.machines.values())

    @property
    def all(self) -> tuple[Machine, ...]:
        return (*self.machines.values(), self.controller)

    def begin(self) -> None:
        """From here on another test uses the machines."""
        self.lab.generation += 1

    def left_behind(self) -> str:
        """How machines that the test used differ from before its first act there; what is left is healed."""
        used = [machine for machine in self.all if machine.used]
        with ThreadPoolExecutor(max_workers=4) as pool:
            return "\n".join(filter(None, pool.map(_left_on, used)))


def _left_on(machine: Machine) -> str:
    assert machine.before is not None
    difference = machine.await_equal(machine.before)
    if not difference:
        return ""
    with contextlib.suppress(ModuleFailed):
        machine.module("heal")
    # Its guardians need a moment to leave, which the next test must not take for its beginning.
    machine.await_equal(machine.before)
    return "\n".join(f"{machine.name}: {line}" for line in difference.splitlines())


@functools.cache
def _node_state() -> str:
    return (SUPPORT / "node_state.py").read_text(encoding="utf-8")


def nodes_of(lab: Lab) -> Nodes:
    """The machines of a lab that was created."""
    variables = lab.variables()
    state = Path(variables["m1"]["halab_state_dir"])
    switch = Path(variables["m1"]["lab_store"]) / variables["m1"]["lab_id"] / "power"
    ssh = (
        "ssh", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=5", "-o", "ControlMaster=auto",
        "-o", f"ControlPath={lab.folder}/cp/run-%h", "-o", "ControlPersist=60", "-o", "ServerAliveInterval=2",
        "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes",
        "-o", f"UserKnownHostsFile={state}/ssh/known_hosts", "-i", f"{state}/ssh/id_ed25519", "-l", "root",
    )  # fmt: skip
    machines = {
        name: Node(
            name=name, lab=lab, address=variables[name]["ansible_host"], ssh=(*ssh, variables[name]["ansible_host"]),
            switch=switch,
        )
        for name in NAMES
    }  # fmt: skip
    return Nodes(lab, machines, Controller(name="controller", lab=lab, state=state, switch=switch))
