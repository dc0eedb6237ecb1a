#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: a machine has less memory, processor or disk than it is used to."""

from __future__ import annotations

DOCUMENTATION = r"""
module: limits
short_description: Limit a whole machine from outside
version_added: 0.1.0
author: The halab authors
description:
  - Gives a machine less memory, processor time or disk than it has, by a command of its site such as one of a container
    engine or a hypervisor, proves by the same command that the limit is in force, and puts the former values back on
    request or when O(ttl) is over.
  - Runs on the controller. Use M(halab.faults.pressure) for limits of one unit on a machine that may set them itself.
  - A power cycle may end such limits early; a machine without power counts as healed.
extends_documentation_fragment: [halab.faults.attributes, halab.faults.fault, halab.faults.controller_ledger]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
  idempotent: {support: full}
options:
  host:
    description: Name of the machine, for messages and for the ledger.
    type: str
    required: true
  command:
    description:
      - Command, as a list, to which words are added. With C(get) it prints the limits in force, one a line, as
        C(NAME=NUMBER) or C(NAME=max), or the word C(off) for a machine without power. With words of that form it sets
        these limits and nothing else.
      - Inventory variable C(machine_limits). Names are C(memory) (bytes), C(cpu) (per cent of one processor),
        C(write_iops) and C(write_bps) (writes and bytes a second to each of the machine's own disks).
    type: list
    elements: str
    default: []
  memory:
    description: Bytes of memory that the machine may use.
    type: int
  cpu:
    description: Per cent of one processor that the machine may use; V(150) is one and a half.
    type: float
  write_iops:
    description: Writes a second to each disk.
    type: int
  write_bps:
    description: Bytes a second written to each disk.
    type: int
notes:
  - The proof is the kernel's own file, read by the command. A disk limit shows in the time of C(fdatasync), a limit of
    the processor in the time of a computation; both need work to do, so the module does not wait for it.
"""

EXAMPLES = r"""
- name: The disks of pg1 sync five times a second at most
  halab.faults.limits:
    id: drill-1
    host: pg1
    ttl: 120
    ledger_dir: ~/.local/state/halab/production/ledger
    command: "{{ hostvars.pg1.machine_limits }}"
    write_iops: 5
  delegate_to: localhost
"""

RETURN = r"""
id: {description: Name of the fault in the ledger., type: str, returned: always}
fault: {description: Always V(limits)., type: str, returned: when the fault is or was known}
target: {description: The machine., type: str, returned: when the fault is or was known}
active: {description: Whether the fault acts now., type: bool, returned: always}
achieved: {description: The limits in force by name., type: dict, returned: when injected now}
commands: {description: Commands that were or would be run., type: list, elements: list, returned: when there are any}
evidence: {description: What the last observations saw., type: list, elements: str, returned: when there are any}
planned_at: {description: The instant before the first command., type: dict, returned: when injected now}
injected_at: {description: The instant after the last command., type: dict, returned: when injected now}
observed_at: {description: The instant at which the effect had been verified., type: dict, returned: when injected now}
expires_at: {description: When the guardian heals the fault., type: dict, returned: when injected}
healed_at: {description: When the heal had been carried out., type: dict, returned: when it is known to be healed}
gone_at: {description: When the absence had been verified., type: dict, returned: when it is known to be healed}
healed_by: {description: V(module) or V(guardian)., type: str, returned: when it is known to be healed}
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.faults.plugins.module_utils.agent import Agent
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import FAULT_OPTIONS, act, common
from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, Plan
from ansible_collections.halab.faults.plugins.module_utils.limits_agent import NAMES, HookError, in_force, same
from ansible_collections.halab.faults.plugins.module_utils.probes import output

PART = "limits_agent"
_WITHIN_S = 5


def plan_of(parameters: Mapping[str, Any]) -> Plan:
    """The plan of a fault; looks at the machine's limits, changes nothing. Raises FaultError."""
    host, hook = parameters["host"], tuple(parameters["command"])
    wanted = _wanted(parameters)
    former = _former(parameters, wanted)
    agent = Agent(Path(parameters["ledger_dir"]), (PART,))
    words = [f"{name}={value}" for name, value in wanted.items()]
    before = [f"{name}={value}" for name, value in former.items()]
    return Plan(
        **common(parameters),
        fault="limits",
        target=host,
        exclusive=f"limits {host}",
        parts=agent.parts,
        inject=((*hook, *words),),
        undo=(agent.argv("limits-restore", *before, "--", *hook),),
        observed=(output(agent.argv("limits-state", *words, "--", *hook), "as asked"),),
        gone=(output(agent.argv("limits-back", *before, "--", *hook), "as asked"),),
        observed_within_s=_WITHIN_S,
        gone_within_s=_WITHIN_S,
        measure=lambda: {name: value for name, value in in_force(hook).items() if name in wanted},
    )


def _wanted(parameters: Mapping[str, Any]) -> dict[str, str]:
    wanted = {}
    for name in NAMES:
        value = parameters[name]
        if value is None:
            continue
        if value <= 0:
            raise FaultError(f"{name} = {value}: is not a positive number. Nothing was changed.")
        wanted[name] = f"{value:g}" if isinstance(value, float) else str(value)
    if not wanted:
        raise FaultError(f"{', '.join(NAMES)}: none is given. Say what to limit. Nothing was changed.")
    return wanted


def _former(parameters: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, str]:
    """The values that our limits replace."""
    host, hook = parameters["host"], parameters["command"]
    if not hook:
        raise FaultError(
            f"command of {host}: not given, so it cannot be limited from outside. Set the inventory variable "
            "machine_limits of the machine to a command of its site, for example "
            "[/usr/local/bin/vm-limits, db1]. Nothing was changed."
        )
    try:
        found = in_force(hook)
    except HookError as error:
        raise FaultError(f"command of {host}: {error}. Nothing was changed.") from error
    if not found:
        raise FaultError(f"host = {host!r}: has no power, so there is nothing to limit. Nothing was changed.")
    for name, value in wanted.items():
        if name not in found:
            raise FaultError(
                f"{name} = {value}: {host} cannot be limited so. Its command knows {', '.join(found)}. "
                "Nothing was changed."
            )
        known = Ledger(Path(parameters["ledger_dir"])).read(parameters["id"]) is not None
        if same(name, found[name], value) and not known:
            raise FaultError(f"{name} = {value}: is the limit of {host} already. Choose another. Nothing was changed.")
    return {name: found[name] for name in wanted}


def main() -> None:
    number: dict[str, Any] = {"type": "int"}
    module = AnsibleModule(
        argument_spec={
            **FAULT_OPTIONS,
            "ledger_dir": {"type": "path", "required": True},
            "host": {"type": "str", "required": True},
            "command": {"type": "list", "elements": "str", "default": []},
            "memory": number,
            "cpu": {"type": "float"},
            "write_iops": number,
            "write_bps": number,
        },
        required_if=[("state", "injected", ["ttl"])],
        supports_check_mode=True,
    )
    act(module, plan_of)


if __name__ == "__main__":
    main()
