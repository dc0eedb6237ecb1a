#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Make, or remove, all machines of a lab in one call."""

from __future__ import annotations

DOCUMENTATION = r"""
module: machines
short_description: Make or remove the machines of a lab
version_added: 0.1.0
author: The halab authors
description:
  - Makes containers or virtual machines that boot systemd and are reached by SSH only, with their own disks, on their
    own network.
  - Machines are found by what carries the lab's id, never by memory, so the next run finishes or removes what a killed
    one left half-way.
  - A machine whose description changed (image, disks) is made anew; its disks keep their content.
options:
  lab:
    description: Id of the lab. Every object made carries it as the label C(halab).
    type: str
    required: true
  kind:
    description:
      - What a machine is. V(container) boots systemd in a container; V(vm) is a process of QEMU with a kernel of its
        own, run by KVM where that works on this host and by emulation where it does not.
    type: str
    choices: [container, vm]
    default: container
  engine:
    description: Container engine. Machines of kind V(vm) take the files of the image out of it.
    type: str
    choices: [podman, docker]
    default: podman
  memory_mib:
    description: Memory of a machine of kind V(vm) in MiB.
    type: int
    default: 768
  cpus:
    description: Processors of a machine of kind V(vm).
    type: int
    default: 1
  state:
    description: Whether the machines should exist and run, or nothing of the lab should be left.
    type: str
    choices: [present, absent]
    default: present
  image:
    description: Image of the machines. Required when O(state=present).
    type: str
  subnet:
    description: Subnet asked for. When it overlaps with something on this host, a free one of O(subnet_pool) is taken.
    type: str
  subnet_pool:
    description: Network out of which another subnet may be taken.
    type: str
    default: 10.212.0.0/14
  numbers:
    description: Host number in the subnet by host name.
    type: dict
    default: {}
  volumes:
    description: File systems of each machine.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Name of the file system.
        type: str
        required: true
      path:
        description: Where the machine sees it.
        type: str
        required: true
      size_mib:
        description: Its size in MiB. The file is sparse.
        type: int
        required: true
  authorized_key_file:
    description: File of this host with the public key that may log in as root.
    type: path
  store:
    description: Folder for disks and keys of machines.
    type: path
    default: /var/lib/halab
  within:
    description: Seconds in which every machine must answer on its SSH port.
    type: int
    default: 60
attributes:
  check_mode:
    description: Reports what would be made or removed.
    support: full
  diff_mode:
    description: Lists machines before and after.
    support: full
  idempotent:
    description: A second call changes nothing.
    support: full
"""

EXAMPLES = r"""
- name: Three machines
  halab.lab.machines:
    lab: lab-1a2b3c
    image: localhost/halab/node:0123456789ab
    subnet: 10.212.3.0/24
    numbers: {pg1: 11, pg2: 12, pg3: 13}
    volumes:
      - {name: data, path: /srv/data, size_mib: 2048}
    authorized_key_file: /home/dba/.local/state/halab/lab-1a2b3c/ssh/id_ed25519.pub

- name: Nothing left of it
  halab.lab.machines:
    lab: lab-1a2b3c
    state: absent
"""

RETURN = r"""
subnet:
  description: Subnet that the lab really has.
  returned: when O(state=present)
  type: str
host_keys:
  description: Public SSH host key by host.
  returned: when O(state=present)
  type: dict
limits:
  description:
    - What this host allows a machine - runtime, cgroup layout, ulimits, capabilities; of a virtual one, how it is run.
  returned: when O(state=present)
  type: dict
created:
  description: Hosts whose machine was made.
  returned: always
  type: list
  elements: str
started:
  description: Hosts whose machine existed and was switched on.
  returned: always
  type: list
  elements: str
removed:
  description: Hosts whose machine was removed.
  returned: always
  type: list
  elements: str
"""

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.lab.plugins.module_utils.engine import EngineError
from ansible_collections.halab.lab.plugins.module_utils.lab import Lab, Plan
from ansible_collections.halab.lab.plugins.module_utils.layout import LayoutError
from ansible_collections.halab.lab.plugins.module_utils.switch import SwitchError
from ansible_collections.halab.lab.plugins.module_utils.vm_lab import VmLab
from ansible_collections.halab.lab.plugins.module_utils.volumes import VolumeError

VOLUME_SPEC = {
    "name": {"type": "str", "required": True},
    "path": {"type": "str", "required": True},
    "size_mib": {"type": "int", "required": True},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "lab": {"type": "str", "required": True},
            "kind": {"type": "str", "choices": ["container", "vm"], "default": "container"},
            "memory_mib": {"type": "int", "default": 768},
            "cpus": {"type": "int", "default": 1},
            "engine": {"type": "str", "choices": ["podman", "docker"], "default": "podman"},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "image": {"type": "str"},
            "subnet": {"type": "str"},
            "subnet_pool": {"type": "str", "default": "10.212.0.0/14"},
            "numbers": {"type": "dict", "default": {}},
            "volumes": {"type": "list", "elements": "dict", "default": [], "options": VOLUME_SPEC},
            "authorized_key_file": {"type": "path", "no_log": False},
            "store": {"type": "path", "default": "/var/lib/halab"},
            "within": {"type": "int", "default": 60},
        },
        required_if=[("state", "present", ("image", "subnet", "authorized_key_file"))],
        supports_check_mode=True,
    )
    options = module.params
    try:
        lab = _lab(options)
        with lab.lock():
            if options["state"] == "absent":
                plan = lab.plan_removal()
                if not module.check_mode:
                    lab.remove(plan)
                module.exit_json(**_result(plan))
            plan = lab.plan(
                image=options["image"],
                numbers={host: int(number) for host, number in options["numbers"].items()},
                volumes=options["volumes"],
            )
            if module.check_mode:
                module.exit_json(subnet=options["subnet"], host_keys={}, limits={}, **_result(plan))
            answer = lab.apply(
                plan,
                subnet=options["subnet"],
                pool=options["subnet_pool"],
                authorized_key=Path(options["authorized_key_file"]).read_text("utf-8"),
                within_s=options["within"],
            )
    except (EngineError, LayoutError, SwitchError, VolumeError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**answer, **_result(plan))


def _lab(options: dict[str, Any]) -> Lab:
    common = {"engine": options["engine"], "store": options["store"]}
    if options["kind"] == "container":
        return Lab(options["lab"], **common)
    return VmLab(options["lab"], **common, memory_mib=options["memory_mib"], cpus=options["cpus"])


def _result(plan: Plan) -> dict[str, Any]:
    before = sorted({*plan.kept, *plan.started, *plan.removed, *plan.replaced})
    after = sorted({*plan.kept, *plan.started, *plan.created})
    return {
        "changed": plan.changed,
        "created": sorted(plan.created),
        "started": sorted(plan.started),
        "removed": sorted(plan.removed),
        "diff": {"before": "\n".join([*before, ""]), "after": "\n".join([*after, ""])},
    }


if __name__ == "__main__":
    main()
