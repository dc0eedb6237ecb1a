#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: processes are stopped, killed, asked to end, or crash again and again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: process
short_description: Stop, kill or terminate processes, or have a unit crash in a loop
version_added: 0.1.0
author: The halab authors
description:
  - Signals the processes that are selected at the instant of the injection, told apart by number and start time, and
    proves the effect in C(/proc).
  - Never touches PID 1, the kernel's threads, SSH servers with their connections, itself and the processes that it was
    started by, the guardians and injectors of this collection, and processes in containers of the machine, which are
    machines of their own.
extends_documentation_fragment: [halab.faults.attributes, halab.faults.fault, halab.faults.node_ledger]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
  idempotent: {support: full}
options:
  kind:
    description:
      - V(stop) sends SIGSTOP until no process of the selection runs that could make new ones. The heal sends SIGCONT to
        exactly those; processes that were stopped before are left alone both ways.
      - V(kill) sends SIGKILL; several are stopped first, so that none slips through. V(terminate) sends SIGTERM. The
        heal starts the units that owned the processes, if they ran before and do not now, and never restarts one.
      - V(crash_loop) kills the main process of a unit each time it comes up, O(times) times or until it is healed. The
        heal ends that and starts the unit, even one that failed too often.
    type: str
    choices: [stop, kill, terminate, crash_loop]
  unit:
    description: Select processes of this unit of systemd, which must run. C(.service) may be left out.
    type: str
  which:
    description:
      - V(main) is the unit's main process, V(children) are all others in its control group, V(all) are both.
      - Only with O(unit), where V(main) is the default.
    type: str
    choices: [main, children, all]
  target:
    description:
      - Select what the stack knows by this name, whatever unit it runs in.
      - V(postmaster), V(backend) (one session of a client, those of other machines first, because Patroni's own are
        local), V(walsender), V(walreceiver), V(checkpointer) are found by the name C(postgres), the title that
        PostgreSQL gives them, and their parent.
      - V(patroni) is Patroni without its PostgreSQL, V(etcd) the member, V(redis) and V(sentinel) are told apart by
        their titles.
      - V(haproxy) are master and workers, V(haproxy_master) and V(haproxy_worker) one kind only. V(keepalived) includes
        its children.
    type: str
    choices:
      - postmaster
      - backend
      - walsender
      - walreceiver
      - checkpointer
      - patroni
      - etcd
      - redis
      - sentinel
      - haproxy
      - haproxy_master
      - haproxy_worker
      - keepalived
  name:
    description: Select processes of this name, which is the kernel's (15 letters), or that of the program.
    type: str
  match:
    description: Select processes whose command line this regular expression (Python's) matches anywhere.
    type: str
  count:
    description: Signal so many at most, the oldest first. Without it all are meant, and one for O(target=backend).
    type: int
  largest:
    description:
      - Take those with the most resident memory first, and one without O(count). With O(target=backend) and
        O(kind=kill) this does what the kernel does when memory runs out, without running out of it.
    type: bool
    default: false
  times:
    description: How often the main process is killed, 0 for until healed. Only for O(kind=crash_loop).
    type: int
    default: 0
  observed_within:
    description: Seconds within which the effect must be seen. A process may take its time to end by SIGTERM.
    type: int
    default: 10
  gone_within:
    description: Seconds within which the service must be whole again after the heal.
    type: int
    default: 60
notes:
  - Exactly one of O(unit), O(target), and O(name) with or without O(match) is given.
  - A kill is gone when the owning units run and a process of the same selection is there again; for a V(backend),
    V(walsender) or V(walreceiver), which clients and roles bring about, when a postmaster is.
  - After a kill of any process of PostgreSQL its recovery may still be under way when the fault is gone; whether the
    cluster is healthy is another question.
  - A child that its unit does not replace by itself is not healed, because a restart would be a second fault.
  - Processes that no unit of systemd owns, or a transient one, are not started again by the heal, and nothing is known
    of their return.
  - A process that was asked to end and has not is not taken back; the fault is gone once it ended and was replaced.
    PostgreSQL's postmaster waits for its clients when it gets SIGTERM.
"""

EXAMPLES = r"""
- name: The postmaster hangs for twenty seconds
  halab.faults.process:
    id: drill-1
    kind: stop
    target: postmaster
    ttl: 20

- name: The largest backend is killed as if memory had run out
  halab.faults.process:
    id: drill-2
    kind: kill
    target: backend
    largest: true
    ttl: 60

- name: Nothing of HAProxy runs for half a minute, without anybody being told
  halab.faults.process:
    id: drill-3
    kind: stop
    unit: haproxy
    which: all
    ttl: 30

- name: One sender of WAL hangs
  halab.faults.process:
    id: drill-4
    kind: stop
    name: postgres
    match: "postgres: .*walsender replicator 192[.]0[.]2[.]12"
    ttl: 30

- name: Etcd fails to start five times
  halab.faults.process:
    id: drill-5
    kind: crash_loop
    unit: etcd
    times: 5
    ttl: 120
"""

RETURN = r"""
id: {description: Name of the fault in the ledger., type: str, returned: always}
fault: {description: Always V(process)., type: str, returned: when the fault is or was known}
target: {description: The selection and the kind., type: str, returned: when the fault is or was known}
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
from ansible_collections.halab.faults.plugins.module_utils.process_plan import plan_of
from ansible_collections.halab.faults.plugins.module_utils.process_select import KNOWN


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **FAULT_OPTIONS,
            "kind": {"type": "str", "choices": ["stop", "kill", "terminate", "crash_loop"]},
            "unit": {"type": "str"},
            "which": {"type": "str", "choices": ["main", "children", "all"]},
            "target": {"type": "str", "choices": list(KNOWN)},
            "name": {"type": "str"},
            "match": {"type": "str"},
            "count": {"type": "int"},
            "largest": {"type": "bool", "default": False},
            "times": {"type": "int", "default": 0},
            "observed_within": {"type": "int", "default": 10},
            "gone_within": {"type": "int", "default": 60},
        },
        required_if=[("state", "injected", ["ttl", "kind"])],
        supports_check_mode=True,
    )
    act(module, plan_of)


if __name__ == "__main__":
    main()
