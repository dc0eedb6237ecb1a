# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: a lab whose machines are virtual: each a process of QEMU with a disk over that of the node image."""

from __future__ import annotations

import contextlib
import hashlib
import ipaddress
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ansible_collections.halab.lab.plugins.module_utils import layout, switch, vm_host, vm_switch, volumes
from ansible_collections.halab.lab.plugins.module_utils.lab import Lab, Plan
from ansible_collections.halab.lab.plugins.module_utils.vm_image import VmImage

KEYS_MIB = 4
DRIVES = tuple(f"vd{letter}" for letter in "abcdefghij")
CONSOLE_LINES = 15


class VmLab(Lab):
    """As Lab, for machines that have a kernel, memory and disks of their own."""

    greeting_within_s = 20.0  # under emulation on a busy host a server takes seconds for its first words

    def __init__(self, lab: str, *, engine: str, store: str, memory_mib: int, cpus: int) -> None:
        super().__init__(lab, engine=engine, store=store)
        self.memory_mib = memory_mib
        self.cpus = cpus
        # Names of network devices have 15 characters at most, and a cable's has its machine's number too.
        self.bridge = f"hl{hashlib.sha256(lab.encode()).hexdigest()[:8]}"

    def _vm(self, host: str) -> vm_switch.Machine:
        return vm_switch.Machine(self.folder, host)

    def _existing(self) -> dict[str, dict[str, Any]]:
        found = {}
        for home in sorted((self.folder / "vms").glob("*")):
            machine = self._vm(home.name)
            spec = ""  # of one that was left half-made: it is made anew
            with contextlib.suppress(switch.SwitchError):
                spec = str(machine.described().get("spec", ""))
            found[home.name] = {"spec": spec, "running": machine.look()[0] == "on"}
        return found

    def _switched_by(self) -> str:
        return "vm"

    def _options(self) -> list[str]:
        return [f"memory {self.memory_mib}", f"cpus {self.cpus}"]

    def _subnet(self) -> str:
        with contextlib.suppress(FileNotFoundError):
            return (self.folder / "subnet").read_text("ascii").strip()
        return ""

    def _make_network(self, subnet: str) -> bool:
        self._write(self.folder / "subnet", f"{subnet}\n".encode(), 0o644)
        vm_switch.plug(bridge=self.bridge, gateway=self._gateway(subnet), tap="")
        return True

    def _remove_network(self) -> None:
        vm_switch.unplug(self.bridge)

    @staticmethod
    def _gateway(subnet: str) -> str:
        """This host's own address in the lab, with the length of its prefix."""
        return f"{layout.address(subnet, 1)}/{ipaddress.ip_network(subnet).prefixlen}"

    def _limits(self, image: str) -> vm_host.Limits:
        """The disk all machines share, and how this host runs them; tried once a lab and image."""
        vm_host.check()
        shared = VmImage.of(image, self.store)
        shared.ensure(self.engine)
        record = self.folder / "limits.json"
        with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            known = json.loads(record.read_text("utf-8"))
            if known["image"] == image:
                return vm_host.Limits(known["acceleration"])
        limits = vm_host.probe(shared)
        self._write(record, json.dumps({"image": image, "acceleration": limits.acceleration}).encode(), 0o644)
        return limits

    def _disk(self, disk: volumes.Volume) -> bool:
        return volumes.form(disk)

    def _start(self, host: str) -> None:
        vm_switch.thaw(self._vm(host))
        vm_switch.on(self._vm(host))

    def _console(self, host: str) -> str:
        with contextlib.suppress(FileNotFoundError):
            text = (self._vm(host).home / "console.log").read_text("utf-8", errors="replace")
            return "\n".join(text.splitlines()[-CONSOLE_LINES:])
        return "nothing"

    def _create(self, plan: Plan, host: str, subnet: str, limits: vm_host.Limits) -> None:
        machine, shared = self._vm(host), VmImage.of(plan.image, self.store)
        shutil.rmtree(machine.home, ignore_errors=True)
        machine.home.mkdir(parents=True, mode=0o700)
        root, keys = machine.home / "root.qcow2", machine.home / "keys.ext4"
        switch.called("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(shared.disk), "-F", "raw", str(root))
        self._put_keys(host, keys)
        # The machine sees its drives in this order; all but the first are mounted where the second word says.
        drives = [(root, "qcow2", ""), (keys, "raw", "/etc/ssh/halab")]
        drives += [(disk.image, "raw", disk.path) for disk in plan.disks[host]]
        if len(drives) > len(DRIVES):
            raise layout.LayoutError(
                f"volumes: a machine of kind vm has {len(DRIVES) - 2} at most, not {len(drives) - 2}."
            )
        network = ipaddress.ip_network(subnet)
        address = layout.address(subnet, plan.numbers[host])
        words = [
            "console=ttyS0", "net.ifnames=0", "panic=-1", f"halab.host={host}",
            f"halab.address={address}/{network.prefixlen}", f"halab.gateway={layout.address(subnet, 1)}",
            *(f"halab.mount={name}:{path}" for name, (_, _, path) in zip(DRIVES, drives, strict=False) if path),
        ]  # fmt: skip
        tap = f"{self.bridge}-{plan.numbers[host]}"
        command = [
            vm_host.QEMU, "-name", machine.name, "-nodefaults", "-no-user-config", "-display", "none",
            *limits.options(), "-smp", str(self.cpus), "-m", str(self.memory_mib),
            "-kernel", str(shared.kernel), "-initrd", str(shared.start), "-append", " ".join(words),
            *(word for file, form, _path in drives for word in _drive(file, form)),
            "-netdev", f"tap,id=cable,ifname={tap},script=no,downscript=no",
            "-device", f"virtio-net-pci,netdev=cable,romfile=,mac={layout.mac_address(self.id, host)}",
            "-serial", f"file:{machine.home / 'console.log'}",
            "-pidfile", str(machine.home / "pid"), "-daemonize",
        ]  # fmt: skip
        cable = {"bridge": self.bridge, "gateway": self._gateway(subnet), "tap": tap}
        described = {"spec": self._spec(plan, host), "cable": cable, "command": command}
        self._write(machine.home / "machine.json", json.dumps(described, indent=1).encode(), 0o600)
        vm_switch.on(machine)

    def _put_keys(self, host: str, disk: Path) -> None:
        """A small file system with what makes the machine itself: its host key, and who may log in."""
        with tempfile.TemporaryDirectory(prefix="keys-", dir=self.folder) as name:
            folder = Path(name)
            for file in self._keys(host).iterdir():
                shutil.copy2(file, folder)
            shutil.copy2(self.folder / "authorized_keys", folder)
            with disk.open("wb") as stream:
                stream.truncate(KEYS_MIB << 20)
            disk.chmod(0o600)
            switch.called("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(folder), str(disk))

    def _remove_machines(self, hosts: list[str]) -> None:
        for host in hosts:
            machine = self._vm(host)
            vm_switch.off(machine)
            with contextlib.suppress(switch.SwitchError):
                cable = machine.described()["cable"]
                vm_switch.unplug(str(cable["tap"]) if isinstance(cable, dict) else "")
            shutil.rmtree(machine.home)


def _drive(file: Path, form: str) -> list[str]:
    """Words for one disk; commas in a file's name are doubled for QEMU."""
    name = file.stem.replace(".", "-")
    return [
        "-drive", f"file={str(file).replace(',', ',,')},format={form},if=none,id={name},cache=writeback,discard=unmap",
        "-device", f"virtio-blk-pci,drive={name}",
    ]  # fmt: skip
