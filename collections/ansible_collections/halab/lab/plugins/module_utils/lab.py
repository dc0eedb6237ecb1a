# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: one lab on this host: what there is, what is wanted, and the way from one to the other."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import ipaddress
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.halab.lab.plugins.module_utils import (
    layout,
    machine_limits,
    switch,
    switchboard,
    vm_switch,
    volumes,
)
from ansible_collections.halab.lab.plugins.module_utils.engine import LABEL, Engine, EngineError, Limits

# Named here so that Ansible sends them along: the switchboard puts their sources into the switch.
SWITCH = (machine_limits, switch, vm_switch)
WORKERS = 4  # engines serialise on their own locks beyond that


@dataclass(slots=True)
class Plan:
    """Difference between what is wanted and what there is."""

    image: str = ""
    numbers: dict[str, int] = field(default_factory=dict)
    disks: dict[str, list[volumes.Volume]] = field(default_factory=dict)
    created: list[str] = field(default_factory=list)
    started: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    other: bool = False  # something besides machines: network, disks

    @property
    def changed(self) -> bool:
        """Is there anything to do?"""
        return bool(self.created or self.started or self.removed or self.other)


class Lab:
    """The machines, network and disks that carry one lab's id. The machines are containers; see VmLab for others."""

    greeting_within_s = 2.0  # one attempt to reach a machine's SSH server

    def __init__(self, lab: str, *, engine: str, store: str) -> None:
        self.id = lab
        self.store = Path(store)
        self.folder = self.store / lab
        self.engine = Engine(engine)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """One change at a time on this host: two labs created at once must not take the same subnet."""
        self.store.mkdir(parents=True, exist_ok=True)
        with open(self.store / ".lock", "w", encoding="utf-8") as file:
            deadline = time.monotonic() + 300
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise EngineError(f"store: another run has held {file.name} for 300 s. Wait for it.") from None
                    time.sleep(0.2)  # flock cannot wait with a deadline
            yield

    def plan(self, *, image: str, numbers: dict[str, int], volumes: list[dict[str, Any]]) -> Plan:
        """Compare what is wanted with what carries our label."""
        plan = Plan(image=image, numbers=numbers)
        plan.disks = {host: self._disks(host, volumes) for host in numbers}
        existing = self._existing()
        for host in numbers:
            machine = existing.get(host)
            if machine is None:
                plan.created.append(host)
            elif machine["spec"] != self._spec(plan, host):
                plan.replaced.append(host)
                plan.created.append(host)
            elif not machine["running"]:
                plan.started.append(host)
            else:
                plan.kept.append(host)
        plan.removed = [host for host in existing if host not in numbers]
        return plan

    def apply(self, plan: Plan, *, subnet: str, pool: str, authorized_key: str, within_s: float) -> dict[str, Any]:
        """Make it so; the subnet, host keys and limits."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        subnet = self._network(subnet, pool)
        limits = self._limits(plan.image)
        self._write(self.folder / "authorized_keys", f"{authorized_key.strip()}\n".encode(), 0o600)
        switchboard.install(self.folder, self._switched_by(), self._write)
        self._remove_machines([*plan.removed, *plan.replaced])
        with ThreadPoolExecutor(WORKERS) as workers:
            for done in workers.map(lambda host: self._machine(plan, host, subnet, limits), plan.numbers):
                plan.other = plan.other or done
        self._await_ssh({host: layout.address(subnet, number) for host, number in plan.numbers.items()}, within_s)
        keys = {host: self._keys(host) / "ssh_host_ed25519_key.pub" for host in plan.numbers}
        texts = {host: path.read_text("utf-8").strip() for host, path in keys.items()}
        return {"subnet": subnet, "host_keys": texts, "limits": asdict(limits)}

    def plan_removal(self) -> Plan:
        """Everything that carries our label."""
        plan = Plan(removed=list(self._existing()))
        plan.other = self.folder.exists() or bool(self._subnet())
        return plan

    def remove(self, plan: Plan) -> None:
        """Remove it; disks last, when nobody uses them any more."""
        self._remove_machines(plan.removed)
        self._remove_network()
        volumes.remove_all(self.folder)

    def _disks(self, host: str, wanted: list[dict[str, Any]]) -> list[volumes.Volume]:
        return [volumes.Volume(host, v["name"], v["path"], v["size_mib"], self.folder) for v in wanted]

    def _spec(self, plan: Plan, host: str) -> str:
        """Fingerprint of how a machine is made; a machine with another one is made anew."""
        described = {
            "image": plan.image,
            "number": plan.numbers[host],
            "volumes": [(disk.path, str(disk.mount_point)) for disk in plan.disks[host]],
            "options": self._options(),
        }
        return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:16]

    def _existing(self) -> dict[str, dict[str, Any]]:
        """Machines there are, by host: spec and running, among others."""
        return self.engine.containers(self.id)

    def _switched_by(self) -> str:
        return self.engine.name

    def _options(self) -> list[str]:
        """What every machine is made with, beside its image, number and disks."""
        return self.engine.machine_options()

    def _subnet(self) -> str:
        return self.engine.network_subnet(self.id)

    def _make_network(self, subnet: str) -> bool:
        """Make it; False when the subnet is taken after all."""
        try:
            self.engine.run("network", "create", "--label", f"{LABEL}={self.id}", "--subnet", subnet, self.id)
        except EngineError as error:
            # A network without machines has no route yet: only the engine knows it is taken.
            if "already used" in str(error) or "overlap" in str(error).lower():
                return False
            raise
        return True

    def _remove_network(self) -> None:
        if self._subnet():
            self.engine.run("network", "rm", self.id)

    def _network(self, subnet: str, pool: str) -> str:
        existing = self._subnet()
        if existing:
            return existing
        taken = _taken_subnets()
        candidates = [subnet, *layout.candidate_subnets(self.id, pool)]
        for candidate in candidates:
            network = ipaddress.ip_network(candidate)
            if any(network.overlaps(other) for other in taken):
                continue
            if self._make_network(candidate):
                return candidate
        raise EngineError(f"subnet_pool: no free /24 is left in {pool} on this host. Set another pool in machines.yml.")

    def _limits(self, image: str) -> Any:
        """Probed once a lab and image: a probe starts a container."""
        record = self.folder / "limits.json"
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            known = json.loads(record.read_text("utf-8"))
            if known.pop("image") == image:
                return Limits(**{**known, "capabilities": tuple(known["capabilities"])})
        limits = self.engine.probe(image)
        self._write(record, json.dumps({"image": image, **asdict(limits)}).encode(), 0o644)
        return limits

    def _keys(self, host: str) -> Path:
        return self.folder / "hostkeys" / host

    def _machine(self, plan: Plan, host: str, subnet: str, limits: Any) -> bool:
        """Disks, host key and machine of one host; was anything but the machine changed?"""
        made = [self._disk(disk) for disk in plan.disks[host]]
        changed = any(made)
        keys = self._keys(host)
        if not (keys / "ssh_host_ed25519_key.pub").exists():
            keys.mkdir(parents=True, exist_ok=True, mode=0o700)
            (keys / "ssh_host_ed25519_key").unlink(missing_ok=True)
            subprocess.run(
                ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", host, "-f", str(keys / "ssh_host_ed25519_key")],
                check=True,
                capture_output=True,
            )
            changed = True
        if host in plan.started:
            self._start(host)
        elif host in plan.created:
            self._create(plan, host, subnet, limits)
        return changed

    def _disk(self, disk: volumes.Volume) -> bool:
        return volumes.ensure(disk)

    def _start(self, host: str) -> None:
        machine = switch.Machine(self.engine.name, self.folder, host)
        switch.thaw(machine)
        switch.on(machine)

    def _console(self, host: str) -> str:
        return self.engine.run("logs", "--tail", "15", f"{self.id}-{host}", check=False)

    def _create(self, plan: Plan, host: str, subnet: str, limits: Any) -> None:
        mounts = [("--volume", f"{disk.mount_point}:{disk.path}") for disk in plan.disks[host]]
        mounts += [
            ("--volume", f"{self._keys(host)}:/etc/ssh/halab:ro"),
            ("--volume", f"{self.folder / 'authorized_keys'}:/root/.ssh/authorized_keys:ro"),
        ]
        self.engine.run(
            "run", "--detach", "--name", f"{self.id}-{host}", "--hostname", host,
            "--label", f"{LABEL}={self.id}", "--label", f"halab.host={host}",
            "--label", f"halab.spec={self._spec(plan, host)}",
            *self.engine.address_options(
                self.id, layout.address(subnet, plan.numbers[host]), layout.mac_address(self.id, host)
            ),
            *[word for mount in mounts for word in mount],
            *self.engine.machine_options(), *limits.options(), plan.image, "/sbin/init",
            runtime=limits.runtime,
        )  # fmt: skip

    def _remove_machines(self, hosts: list[str]) -> None:
        if hosts:
            existing = self.engine.containers(self.id)
            self.engine.discard([existing[host]["id"] for host in hosts if host in existing])

    def _await_ssh(self, addresses: dict[str, str], within_s: float) -> None:
        """Wait until each machine's SSH server has spoken; a port alone can be open before sshd can serve."""
        deadline = time.monotonic() + within_s
        for host, address in addresses.items():
            last = "no attempt"
            while True:
                try:
                    with socket.create_connection((address, 22), timeout=self.greeting_within_s) as connection:
                        if connection.recv(4) == b"SSH-":
                            break
                        last = "the port is open but nothing speaks SSH on it"
                except OSError as error:
                    last = str(error)
                if time.monotonic() > deadline:
                    raise EngineError(
                        f"{host}: no SSH at {address}:22 within {within_s:.0f} s ({last}). Its console said:\n"
                        + self._console(host)
                    )
                time.sleep(0.05)  # between attempts to connect; there is nothing to be notified by

    @staticmethod
    def _write(path: Path, content: bytes, mode: int) -> None:
        if path.exists() and path.read_bytes() == content and path.stat().st_mode & 0o777 == mode:
            return
        # In place: authorized_keys is mounted into machines, and a renamed file would leave them with the old one.
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as file:
            file.write(content)
        path.chmod(mode)


def _taken_subnets() -> list[ipaddress.IPv4Network]:
    """IPv4 networks that this host already routes."""
    text = subprocess.run(["ip", "-json", "-4", "route"], capture_output=True, text=True, check=True).stdout
    routes = (route["dst"] for route in json.loads(text or "[]"))
    return [ipaddress.IPv4Network(target, strict=False) for target in routes if target != "default"]
