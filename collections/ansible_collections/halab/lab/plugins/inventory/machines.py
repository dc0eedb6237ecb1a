# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Inventory plugin: the hosts of this inventory are machines that halab makes."""

from __future__ import annotations

DOCUMENTATION = r"""
name: machines
short_description: Declare that halab owns the machines of an inventory
version_added: 0.1.0
author: The halab authors
description:
  - A file of this plugin beside C(hosts.yml) says that the hosts of the inventory are containers or virtual machines
    made by P(halab.lab.nodes#role).
  - It gives every host its literal address, SSH settings, power switch (C(machine_power)) and limits from outside
    (C(machine_limits)), and the inventory its state directory.
  - Addresses are a pure function of the inventory's folder until the lab is created,
    and what was really created from then on.
  - The file must sort after the files that list the hosts, because it speaks about hosts that are already known.
options:
  plugin:
    description: Must be C(halab.lab.machines).
    required: true
    choices: [halab.lab.machines]
  name:
    description: Name of the lab; the id is this and six hexadecimal digits of the folder's hash.
    type: str
    required: true
  kind:
    description:
      - What the machines are. C(container) needs a container engine only. C(vm) needs QEMU besides
        (C(apt-get install qemu-system-x86 qemu-utils)) and gives each machine a kernel of its own; it has no
        C(machine_limits).
    type: str
    choices: [container, vm]
    default: container
  memory_mib:
    description: Memory of a machine of kind C(vm) in MiB.
    type: int
    default: 768
  cpus:
    description: Processors of a machine of kind C(vm).
    type: int
    default: 1
  engine:
    description: Container engine. C(auto) takes Podman when it is installed, else Docker.
    type: str
    choices: [auto, podman, docker]
    default: auto
  subnet_pool:
    description: Network out of which the lab takes one /24.
    type: str
    default: 10.212.0.0/14
  addresses:
    description: Variables to set to further addresses of the subnet, as variable name to host number (200 to 254).
    type: dict
    default: {}
  volumes:
    description:
      - File systems of their own for each machine, a list of dictionaries with C(name), C(path) and C(size_mib).
    type: list
    elements: dict
    default:
      - {name: data, path: /srv/data, size_mib: 2048}
  store:
    description: Folder of the engine's host that holds the machines' disks.
    type: path
    default: /var/lib/halab
"""

EXAMPLES = r"""
# inventories/lab/machines.yml
plugin: halab.lab.machines
name: lab
addresses:
  haproxy_address: 250
"""

import os
import shutil
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.template import trust_as_template

from ansible_collections.halab.lab.plugins.module_utils import layout, switch

READY_WITHIN_S = {"container": 60, "vm": 300}
# A machine that is emulated takes its time with a handshake.
SLOW = {"ansible_ssh_timeout": 60}


def _plain(value: Any) -> Any:
    """Mark our own strings as trusted: ansible-inventory wraps others in an object, which testinfra cannot read."""
    if isinstance(value, str):
        return trust_as_template(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value


class InventoryModule(BaseInventoryPlugin):
    """Adds connection variables to hosts that other files of the inventory have named."""

    NAME = "halab.lab.machines"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith((".yml", ".yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        try:
            self._describe(inventory, os.path.dirname(os.path.abspath(path)))
        except layout.LayoutError as error:
            raise AnsibleParserError(f"{path}: {error}") from error

    def _describe(self, inventory: Any, folder: str) -> None:
        hosts = [host for host in inventory.hosts if host != "localhost"]
        if not hosts:
            raise layout.LayoutError(
                "hosts: none are known yet. List them in a file that sorts before this one, such as hosts.yml."
            )
        lab = layout.lab_id(self.get_option("name"), folder)
        state_dir = layout.state_home() / lab
        record = layout.read_record(state_dir)
        # A lab that exists stays what it is until it is destroyed; records without a word are of containers.
        kind = record.get("kind", "container") if record else str(self.get_option("kind"))
        subnet = record.get("subnet") or layout.preferred_subnet(lab, self.get_option("subnet_pool"))
        numbers = layout.assign_numbers(hosts, record.get("numbers", {}))
        power = os.path.join(self.get_option("store"), lab, "power")

        for name, value in {
            "halab_state_dir": str(state_dir),
            "halab_cluster_name": lab,
            "lab_id": lab,
            "lab_kind": kind,
            "lab_memory_mib": self.get_option("memory_mib"),
            "lab_cpus": self.get_option("cpus"),
            "lab_within": READY_WITHIN_S[kind],
            "lab_engine": record.get("engine") or self._engine(),
            "lab_subnet": subnet,
            "lab_subnet_pool": self.get_option("subnet_pool"),
            "lab_volumes": self.get_option("volumes"),
            "lab_store": self.get_option("store"),
            "lab_numbers": numbers,
        }.items():
            inventory.set_variable("all", name, _plain(value))
        for variable, number in self.get_option("addresses").items():
            if not isinstance(number, int) or not layout.RESERVED_FROM <= number <= 254:
                raise layout.LayoutError(
                    f"addresses.{variable}: {number!r} is not a host number from {layout.RESERVED_FROM} to 254."
                )
            inventory.set_variable("all", variable, _plain(layout.address(subnet, number)))

        ssh = state_dir / "ssh"
        for host in hosts:
            for name, value in {
                "ansible_host": layout.address(subnet, numbers[host]),
                "ansible_user": "root",
                "ansible_ssh_private_key_file": str(ssh / "id_ed25519"),
                # Two spellings are needed because ssh splits the value of an option at white space.
                "ansible_ssh_common_args": (
                    f"-o 'UserKnownHostsFile=\"{ssh / 'known_hosts'}\"' "
                    "-o StrictHostKeyChecking=yes -o IdentitiesOnly=yes"
                ),
                "machine_power": {verb: [power, verb, host] for verb in switch.VERBS},
                **({"machine_limits": [power, "limit", host]} if kind == "container" else SLOW),
            }.items():
                inventory.set_variable(host, name, _plain(value))

    def _engine(self) -> str:
        wanted = str(self.get_option("engine"))
        if wanted != "auto":
            return wanted
        return "docker" if shutil.which("docker") and not shutil.which("podman") else "podman"
