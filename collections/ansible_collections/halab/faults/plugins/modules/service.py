#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: a unit of systemd is stopped, masked, or slow to start."""

from __future__ import annotations

DOCUMENTATION = r"""
module: service
short_description: Stop a unit, keep it from being started, or make its starts slow
version_added: 0.1.0
author: The halab authors
description:
  - Takes a unit that runs away in an orderly way, or delays its starts, and gives it back on request or when O(ttl) is
    over.
  - A unit that does not run is refused. So is one without which the machine cannot be reached or healed (SSH, the
    network, D-Bus, ours), and one whose stop would take such a one along.
extends_documentation_fragment: [halab.faults.attributes, halab.faults.fault, halab.faults.node_ledger]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
  idempotent: {support: full}
options:
  kind:
    description:
      - V(stop) is C(systemctl stop). What systemd starts by itself (a socket, a timer) may start it again, which
        V(mask) prevents.
      - V(mask) is C(systemctl mask --runtime) and a stop. It needs a unit whose file is the distribution's, because one
        in C(/etc/systemd/system) takes the place of the mask.
      - V(slow_start) adds a delay of O(seconds) before each start of the unit, by a file of ours in
        C(/run/systemd/system). A heal also ends a delay that is under way.
      - None of them outlives a restart of the machine.
    type: str
    choices: [stop, mask, slow_start]
  unit:
    description: Name of the unit, C(.service) may be left out. An alias is followed.
    type: str
  seconds:
    description: The delay of O(kind=slow_start), up to 3600 and less than the unit's C(TimeoutStartSec).
    type: int
  restart:
    description:
      - Restart the unit at once and see that the delay holds it up. Without it the delay awaits the unit's next start.
      - Only for O(kind=slow_start).
    type: bool
    default: false
  observed_within:
    description: Seconds within which the effect must be seen.
    type: int
    default: 10
  gone_within:
    description: Seconds within which the unit, and those that stopped with it, must run again after the heal.
    type: int
    default: 60
notes:
  - Units that require the unit stop with it, and are started with it again when they ran.
  - A unit that still starts counts as running once its main process has lasted two seconds, because it may wait for
    other machines, as a member of etcd does for its quorum.
  - Needs systemd and root.
"""

EXAMPLES = r"""
- name: No Patroni for a minute
  halab.faults.service:
    id: drill-1
    kind: stop
    unit: patroni
    ttl: 60

- name: Nobody can start HAProxy for a minute
  halab.faults.service:
    id: drill-2
    kind: mask
    unit: haproxy
    ttl: 60

- name: A member of etcd comes back twenty seconds late
  halab.faults.service:
    id: drill-3
    kind: slow_start
    unit: etcd
    seconds: 20
    restart: true
    ttl: 120
"""

RETURN = r"""
id: {description: Name of the fault in the ledger., type: str, returned: always}
fault: {description: Always V(service)., type: str, returned: when the fault is or was known}
target: {description: The unit and the kind., type: str, returned: when the fault is or was known}
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

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.faults.plugins.module_utils.faultmodule import FAULT_OPTIONS, act
from ansible_collections.halab.faults.plugins.module_utils.service_plan import plan_of


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **FAULT_OPTIONS,
            "kind": {"type": "str", "choices": ["stop", "mask", "slow_start"]},
            "unit": {"type": "str"},
            "seconds": {"type": "int"},
            "restart": {"type": "bool", "default": False},
            "observed_within": {"type": "int", "default": 10},
            "gone_within": {"type": "int", "default": 60},
        },
        required_if=[("state", "injected", ["ttl", "kind", "unit"]), ("kind", "slow_start", ["seconds"])],
        supports_check_mode=True,
    )
    act(module, plan_of)


if __name__ == "__main__":
    main()
