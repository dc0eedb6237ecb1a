#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: a clock is wrong."""

from __future__ import annotations

DOCUMENTATION = r"""
module: clock
short_description: Let a machine or one service have the wrong time
version_added: 0.1.0
author: The halab authors
description:
  - Makes the clock jump (V(step)), run too fast or too slow (V(drift)), or jump to and fro (V(strobe)).
  - With O(scope=machine) it is the real clock. Services that synchronise it are stopped meanwhile. It is put right by
    what passed on C(CLOCK_MONOTONIC_RAW) since the injection, so that nothing depends on how wrong it was, and the
    services are started again. After a restart the machine has its time from its hardware and those services.
  - With O(scope=unit) it is the time that the processes of one systemd service see, by libfaketime. The service is
    B(restarted) with the right time, gets the wrong time while it runs, and is restarted again when it is healed.
  - Clocks that only count on, such as C(CLOCK_MONOTONIC), stay right for a service. They drift along with a machine.
extends_documentation_fragment: [halab.faults.attributes, halab.faults.fault, halab.faults.node_ledger]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
  idempotent: {support: full}
options:
  kind:
    description:
      - V(step), the clock jumps by O(offset) and goes on from there.
      - V(drift), the clock runs O(rate) times as fast.
      - V(strobe), the clock jumps by O(offset) and back, once in each O(period).
    type: str
    choices: [step, drift, strobe]
    default: step
  scope:
    description: Whose clock. V(machine) needs C(CAP_SYS_TIME) and a kernel that nobody shares, so no container.
    type: str
    choices: [machine, unit]
    default: unit
  unit:
    description:
      - The service, for O(scope=unit). It must run. What it starts has the wrong time too, as PostgreSQL under Patroni.
      - Refused when its program is statically linked, written in Go (etcd), setuid, shut into a folder (HAProxy), or
        allocates memory by jemalloc (Redis), because libfaketime does not reach it or hangs there.
    type: str
    default: ''
  offset:
    description: How far off, a number with V(ms), V(s), V(m), V(h) or V(d), such as V(-2h) or V(+500ms); 50ms to 3650d.
    type: str
  rate:
    description:
      - Seconds of the wrong clock in a true second, 0.1 to 10 but not within 0.001 of 1.
      - A machine's clock takes 0.9 to 1.1.
    type: float
  period:
    description: Seconds between two jumps of O(kind=strobe), 0.02 to 10. 1 when not given.
    type: float
  time_command:
    description:
      - Command, as a list, that asks the service itself for its time and prints seconds since 1970. For O(scope=unit).
      - It proves more than the module's own reader, which has the environment and the user of the service.
    type: list
    elements: str
    default: []
  ready_command:
    description:
      - Command, as a list, that exits 0 when the restarted service may have its wrong time. For O(scope=unit).
      - By default O(time_command), which exits 0 when the service answers.
    type: list
    elements: str
    default: []
  ready_within:
    description: Seconds in which O(ready_command) or O(time_command) must have succeeded after the restart.
    type: int
    default: 60
  controller_boot_id:
    description:
      - C(/proc/sys/kernel/random/boot_id) of the controller. Required for O(scope=machine), which is refused when the
        machine has the same.
    type: str
    default: ''
notes:
  - The restart of the Patroni that leads hands its lead over. To have a leader with the wrong time, switch over to the
    machine while the fault acts.
  - Certificates are judged by the wrong time too. halab's own are valid from one hour before they were made.
  - Needs the package libfaketime for O(scope=unit).
  - libfaketime reads fractions as the locale of the program writes them. Where that is a comma, give whole seconds.
"""

EXAMPLES = r"""
- name: Patroni and PostgreSQL live ten minutes ago
  halab.faults.clock:
    id: drill-1
    ttl: 120
    unit: patroni.service
    offset: -10m

- name: PostgreSQL and its Patroni gain one second in twenty; PostgreSQL itself is asked
  halab.faults.clock:
    id: drill-2
    ttl: 120
    unit: patroni.service
    kind: drift
    rate: 1.05
    time_command: [runuser, -u, postgres, --, psql, -XAtc, select extract(epoch from clock_timestamp())]

- name: The machine's clock jumps ten seconds ahead and back, ten times a second
  halab.faults.clock:
    id: drill-3
    ttl: 120
    scope: machine
    kind: strobe
    offset: 10s
    period: 0.1
    controller_boot_id: "{{ lookup('ansible.builtin.file', '/proc/sys/kernel/random/boot_id') }}"

- name: Everything has the right time
  halab.faults.clock:
    id: "{{ item }}"
    state: healed
  loop: [drill-1, drill-2, drill-3]
"""

RETURN = r"""
id: {description: Name of the fault in the ledger., type: str, returned: always}
fault: {description: Always V(clock)., type: str, returned: when the fault is or was known}
target: {description: Whose clock is wrong and how., type: str, returned: when the fault is or was known}
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
expires_at: {description: When the machine heals the fault by itself., type: dict, returned: when injected}
healed_at: {description: When the heal had been carried out., type: dict, returned: when it is known to be healed}
gone_at:
  description: When the absence of the effect had been verified.
  type: dict
  returned: when it is known to be healed
healed_by: {description: Who healed it., type: str, returned: when it is known to be healed}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.faults.plugins.module_utils.clockfault_plan import plan_of
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import FAULT_OPTIONS, act


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **FAULT_OPTIONS,
            "kind": {"type": "str", "choices": ["step", "drift", "strobe"], "default": "step"},
            "scope": {"type": "str", "choices": ["machine", "unit"], "default": "unit"},
            "unit": {"type": "str", "default": ""},
            "offset": {"type": "str"},
            "rate": {"type": "float"},
            "period": {"type": "float"},
            "time_command": {"type": "list", "elements": "str", "default": []},
            "ready_command": {"type": "list", "elements": "str", "default": []},
            "ready_within": {"type": "int", "default": 60},
            "controller_boot_id": {"type": "str", "default": ""},
        },
        required_if=[("state", "injected", ["ttl"])],
        supports_check_mode=True,
    )
    act(module, plan_of)


if __name__ == "__main__":
    main()
