#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: a machine loses its power."""

from __future__ import annotations

DOCUMENTATION = r"""
module: power
short_description: Cut the power of a machine and give it back
version_added: 0.1.0
author: The halab authors
description:
  - Switches a machine off without telling it, proves that it is off, and switches it on again on request or when
    O(ttl) is over.
  - Runs on the controller, because the machine itself could not come back. How its power is switched is up to the site,
    as three commands such as those of a container engine, a hypervisor or C(ipmitool).
  - The undo is in the ledger and its guardian armed before the power is cut.
extends_documentation_fragment: [halab.faults.attributes, halab.faults.fault]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
  idempotent: {support: full}
options:
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
    description: Command, as a list, that prints V(on) or V(off) and exits 0.
    type: list
    elements: str
    default: []
  observed_within:
    description: Seconds within which the machine must be seen off.
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
target: {description: The machine., type: str, returned: when the fault is or was known}
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

import ipaddress
import socket
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger, LedgerError, checked_id
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, Plan, heal_one, inject
from ansible_collections.halab.faults.plugins.module_utils.probes import output, run, ssh

HOOKS = ("off_command", "on_command", "state_command")


def checked(parameters: dict[str, Any]) -> None:
    """Raises FaultError for what can be refused without looking at the machine, LedgerError for an unusable id."""
    checked_id(parameters["id"])
    for name in ("ttl", "observed_within", "gone_within"):
        value = parameters[name]
        if value is not None and value <= 0:
            raise FaultError(f"{name} = {value}: is not a positive number of seconds. Nothing was changed.")
    if not 1 <= parameters["port"] <= 65535:
        raise FaultError(f"port = {parameters['port']}: is not a port. Give a number from 1 to 65535.")
    if parameters["state"] == "injected":
        missing = [name for name in HOOKS if not parameters[name]]
        if missing:
            raise FaultError(
                f"{', '.join(missing)} of {parameters['host']}: not given, so its power cannot be switched. "
                "Give the commands of its power switch (inventory variable machine_power with off, on "
                "and state). Nothing was changed."
            )
        if is_controller(parameters["host"], parameters["address"]):
            raise FaultError(
                f"host = {parameters['host']!r}: is the controller, which must heal the fault. Choose another machine."
            )


def is_controller(host: str, address: str) -> bool:
    """Whether this is the machine we run on: the kernel reaches an address of its own from that very address."""
    if host in ("localhost", socket.gethostname()):
        return True
    try:
        parsed = ipaddress.ip_address(address)
        with socket.socket(socket.AF_INET6 if parsed.version == 6 else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((address, 9))
            return ipaddress.ip_address(probe.getsockname()[0]) == parsed
    except (ValueError, OSError):
        return False


def plan_of(parameters: dict[str, Any]) -> Plan:
    state = tuple(parameters["state_command"])
    address, port = parameters["address"], parameters["port"]
    return Plan(
        id=parameters["id"],
        fault="power",
        target=parameters["host"],
        ttl_s=parameters["ttl"],
        cluster=parameters["cluster"],
        run=parameters["run"],
        inject=(tuple(parameters["off_command"]),),
        undo=(tuple(parameters["on_command"]),),
        observed=(output(state, "off"), *([ssh(address, port, answers=False)] if address else [])),
        gone=(output(state, "on"), *([ssh(address, port, answers=True)] if address else [])),
        observed_within_s=parameters["observed_within"],
        gone_within_s=parameters["gone_within"],
    )


def act(parameters: dict[str, Any], *, check_mode: bool) -> dict[str, Any]:
    checked(parameters)
    ledger = Ledger(Path(parameters["ledger_dir"]))
    if parameters["state"] == "healed":
        return heal_one(ledger, parameters["id"], check_mode=check_mode)
    code, said, err = run(parameters["state_command"])
    if code != 0 or said not in ("on", "off"):
        raise FaultError(
            f"state_command of {parameters['host']}: exited {code} and printed {said or err!r}. "
            "It must exit 0 and print the word on or off. Nothing was changed."
        )
    return inject(plan_of(parameters), ledger, check_mode=check_mode)


def main() -> None:
    command: dict[str, Any] = {"type": "list", "elements": "str", "default": []}
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["injected", "healed"], "default": "injected"},
            "id": {"type": "str", "required": True},
            "ttl": {"type": "int"},
            "ledger_dir": {"type": "path", "required": True},
            "cluster": {"type": "str", "default": ""},
            "run": {"type": "str", "default": ""},
            "host": {"type": "str", "required": True},
            "address": {"type": "str", "default": ""},
            "port": {"type": "int", "default": 22},
            "observed_within": {"type": "int", "default": 15},
            "gone_within": {"type": "int", "default": 120},
            **dict.fromkeys(HOOKS, command),
        },
        required_if=[("state", "injected", ["ttl"])],
        supports_check_mode=True,
    )
    try:
        module.exit_json(**act(module.params, check_mode=module.check_mode))
    except (FaultError, LedgerError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
