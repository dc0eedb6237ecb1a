#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: a machine loses its power, is restarted, or stands still."""

from __future__ import annotations

DOCUMENTATION = r"""
module: power
short_description: Cut the power of a machine, restart or freeze it, and take that back
version_added: 0.1.0
author: The halab authors
description:
  - Does to a machine what only somebody beside it can do, proves it, and takes it back on request or when O(ttl) is
    over.
  - Runs on the controller, because the machine itself could not come back. How it is switched is up to the site, as
    commands such as those of a container engine, a hypervisor or C(ipmitool). A fault whose command is not given is
    refused.
  - The undo is in the ledger and its guardian armed before anything is switched. A machine takes one such fault at a
    time.
extends_documentation_fragment: [halab.faults.attributes, halab.faults.fault, halab.faults.controller_ledger]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
  idempotent: {support: full}
options:
  kind:
    description:
      - V(off) cuts the power; what the machine had written to its disks is there when it is back.
      - V(loss) cuts the power and drops what was written to its disks but not synced, as a real loss of power does to
        the page cache. Which disks those are is up to O(lose_command).
      - V(reset) restarts it at once without a shutdown. It is over by itself; healing proves that the machine is back.
      - V(freeze) stops every process of it between two instructions; its connections stay open and nobody answers.
    type: str
    choices: ['off', reset, freeze, loss]
    default: 'off'
  host:
    description: Name of the machine, for messages and for the ledger.
    type: str
    required: true
  address:
    description: Address at which the machine's SSH server answers. Without one only O(state_command) is asked.
    type: str
    default: ''
  port:
    description: Port of the machine's SSH server.
    type: int
    default: 22
  off_command:
    description: Command, as a list, that cuts the power at once. Exit code 0 when it is cut.
    type: list
    elements: str
    default: []
  on_command:
    description: Command, as a list, that gives the power back. Must be harmless when the machine is on.
    type: list
    elements: str
    default: []
  state_command:
    description: Command, as a list, that prints V(on), V(off) or V(frozen) and exits 0.
    type: list
    elements: str
    default: []
  reset_command:
    description: Command, as a list, that restarts the machine at once. Without one, O(off_command) and O(on_command).
    type: list
    elements: str
    default: []
  freeze_command:
    description: Command, as a list, that stops the whole machine.
    type: list
    elements: str
    default: []
  thaw_command:
    description: Command, as a list, that lets it go on. Must be harmless when the machine is not frozen.
    type: list
    elements: str
    default: []
  lose_command:
    description: Command, as a list, that cuts the power so that writes which were not synced are lost.
    type: list
    elements: str
    default: []
  observed_within:
    description: Seconds within which the machine must be seen off, frozen or restarted.
    type: int
    default: 15
  gone_within:
    description: Seconds within which the machine must be on and answer by SSH after the power is back.
    type: int
    default: 120
notes:
  - A fault that is not observed within O(observed_within) is undone and fails.
"""

EXAMPLES = r"""
- name: The machine pg1 has no power for ten minutes at most
  halab.faults.power:
    id: drill-1
    host: pg1
    address: 192.0.2.11
    ttl: 600
    ledger_dir: ~/.local/state/halab/production/ledger
    off_command: [ipmitool, -H, 192.0.2.111, -f, /etc/ipmi.password, chassis, power, "off"]
    on_command: [ipmitool, -H, 192.0.2.111, -f, /etc/ipmi.password, chassis, power, "on"]
    state_command: [/usr/local/bin/ipmi-power-state, 192.0.2.111]
  delegate_to: localhost

- name: The machine pg2 stands still for a minute
  halab.faults.power:
    id: drill-2
    kind: freeze
    host: pg2
    address: 192.0.2.12
    ttl: 60
    ledger_dir: ~/.local/state/halab/production/ledger
    freeze_command: [virsh, suspend, pg2]
    thaw_command: [/usr/local/bin/thaw, pg2]
    state_command: [/usr/local/bin/vm-state, pg2]
  delegate_to: localhost

- name: Its power is back
  halab.faults.power:
    id: drill-1
    host: pg1
    state: healed
    ledger_dir: ~/.local/state/halab/production/ledger
  delegate_to: localhost
"""

RETURN = r"""
id: {description: Name of the fault in the ledger., type: str, returned: always}
fault: {description: Always V(power)., type: str, returned: when the fault is or was known}
target:
  description: The machine, with the kind in brackets unless it is V(off).
  type: str
  returned: when the fault is or was known
active: {description: Whether the fault acts now., type: bool, returned: always}
commands:
  description: Commands that were run, or would be in check mode.
  type: list
  elements: list
  returned: when there are any
evidence:
  description: What the last observations saw, in words.
  type: list
  elements: str
  returned: when there are any
planned_at:
  description: The instant before the first command, a dictionary of C(monotonic_ns), C(boot_id) and C(wall).
  type: dict
  returned: when injected now
injected_at: {description: The instant after the last command., type: dict, returned: when injected now}
observed_at: {description: The instant at which the effect had been verified., type: dict, returned: when injected now}
expires_at: {description: When the guardian heals the fault., type: dict, returned: when injected}
healed_at: {description: When the heal had been carried out., type: dict, returned: when it is known to be healed}
gone_at:
  description: When the absence of the effect had been verified.
  type: dict
  returned: when it is known to be healed
healed_by: {description: V(module) or V(guardian)., type: str, returned: when it is known to be healed}
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.faults.plugins.module_utils import power
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import FAULT_OPTIONS
from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger, LedgerError
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, heal_one, inject

COMMAND: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
OPTIONS: dict[str, Mapping[str, Any]] = {
    **FAULT_OPTIONS,
    "ledger_dir": {"type": "path", "required": True},
    "kind": {"type": "str", "choices": [*power.KINDS], "default": "off"},
    "host": {"type": "str", "required": True},
    "address": {"type": "str", "default": ""},
    "port": {"type": "int", "default": 22},
    "observed_within": {"type": "int", "default": 15},
    "gone_within": {"type": "int", "default": 120},
    **{f"{hook}_command": COMMAND for hook in power.HOOKS},
}
DEFAULTS = {name: option.get("default") for name, option in OPTIONS.items()}


def act(parameters: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Do what the parameters say; a module's result. Raises FaultError, LedgerError or OSError."""
    wanted = {**DEFAULTS, **parameters}
    power.checked(wanted)
    ledger = Ledger(Path(wanted["ledger_dir"]))
    if wanted["state"] == "healed":
        return heal_one(ledger, wanted["id"], check_mode=check_mode)
    power.check_state(wanted)
    return inject(power.plan_of(wanted), ledger, check_mode=check_mode)


def main() -> None:
    module = AnsibleModule(
        argument_spec=OPTIONS,
        required_if=[("state", "injected", ["ttl"])],
        supports_check_mode=True,
    )
    try:
        module.exit_json(**act(module.params, check_mode=module.check_mode))
    except (FaultError, LedgerError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
