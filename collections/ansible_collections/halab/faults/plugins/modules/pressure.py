#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: something that a machine or one of its services needs runs short."""

from __future__ import annotations

DOCUMENTATION = r"""
module: pressure
short_description: Use up processor, memory, disk, connections, descriptors or processes of a machine
version_added: 0.1.0
author: The halab authors
description:
  - Makes something scarce on the machine that it runs on, proves it by what the kernel counts, and takes it back on
    request or when O(ttl) is over.
  - Injectors run apart from the SSH session, end by themselves at the end of O(ttl), and leave nothing behind.
extends_documentation_fragment: [halab.faults.attributes, halab.faults.fault, halab.faults.node_ledger]
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
  idempotent: {support: full}
options:
  kind:
    description:
      - V(cpu_burn) computes in O(workers) processes, each O(percent) of the time.
      - V(cpu_quota) lets O(unit) have O(percent) of a processor. O(method=stopping) works where control groups cannot
        be written, by stopping the processes of the unit in turns of 100 ms.
      - V(memory_limit) lets O(unit) have O(bytes) of memory.
      - V(memory_hog) takes O(bytes), or O(percent) of what is available, and touches all of it.
      - V(io_hog) writes and syncs over and over within O(bytes) in the folder O(path).
      - V(connections) holds O(count) idle connections to O(address) and O(port), or sessions of PostgreSQL at
        O(socket).
      - V(files) lets the main process of O(unit) open O(leave) more descriptors only.
      - V(pids) lets O(unit) start O(leave) more processes or threads only. O(method=rlimit) works where control groups
        cannot be written, for units that do not run as root, and leaves none.
      - Required for O(state=injected).
    type: str
    choices: [cpu_burn, cpu_quota, memory_limit, memory_hog, io_hog, connections, files, pids]
  method:
    description: How a unit is limited.
    type: str
    choices: [cgroup, stopping, rlimit]
    default: cgroup
  unit:
    description: Systemd service, such as V(etcd.service).
    type: str
    default: ''
  workers:
    description: Number of processes. V(0) is one for each processor (O(kind=cpu_burn)) or one (O(kind=io_hog)).
    type: int
    default: 0
  percent:
    description: Share in per cent; see O(kind). O(kind=cpu_burn) takes V(100) when it is not given.
    type: int
  bytes:
    description: Size in bytes; see O(kind).
    type: int
  spare:
    description:
      - Whether the kernel, when memory runs out, is to kill the hog and spare the others. V(false) needs
        C(CAP_SYS_RESOURCE), which containers do not have.
    type: bool
    default: true
  path:
    description: Folder of O(kind=io_hog).
    type: str
    default: ''
  count:
    description: Number of connections. V(0) is as many as the server takes, kept so while others end.
    type: int
    default: 0
  address:
    description: Address of a server.
    type: str
    default: ''
  port:
    description: Port of the server at O(address).
    type: int
  socket:
    description: Local socket of a PostgreSQL server, such as V(/var/run/postgresql/.s.PGSQL.5432).
    type: str
    default: ''
  user:
    description:
      - Account of the machine, and role of that name, for sessions at O(socket). The server must let it in by peer
        authentication. A superuser takes the reserved sessions too.
    type: str
    default: postgres
  database:
    description: Database of the sessions at O(socket).
    type: str
    default: postgres
  leave:
    description: How many more descriptors or processes may be had.
    type: int
    default: 0
notes:
  - Limits of a control group are written to the kernel's file. systemd takes them back early when its configuration is
    reloaded; the unit's own settings are never changed.
"""

EXAMPLES = r"""
- name: Two processes compute for a minute at most
  halab.faults.pressure: {id: drill-1, ttl: 60, kind: cpu_burn, workers: 2}

- name: PostgreSQL takes no more sessions
  halab.faults.pressure:
    id: drill-2
    ttl: 120
    kind: connections
    socket: /var/run/postgresql/.s.PGSQL.5432

- name: etcd runs a fifth of the time
  halab.faults.pressure: {id: drill-3, ttl: 60, kind: cpu_quota, method: stopping, unit: etcd.service, percent: 20}

- name: It is over
  halab.faults.pressure: {id: drill-3, state: healed}
"""

RETURN = r"""
id: {description: Name of the fault in the ledger., type: str, returned: always}
fault: {description: Always V(pressure)., type: str, returned: when the fault is or was known}
target: {description: What runs short., type: str, returned: when the fault is or was known}
active: {description: Whether the fault acts now., type: bool, returned: always}
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

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.faults.plugins.module_utils.faultmodule import FAULT_OPTIONS, act
from ansible_collections.halab.faults.plugins.module_utils.pressure import KINDS, METHODS, plan_of

TEXT: dict[str, Any] = {"type": "str", "default": ""}
OPTIONS: dict[str, dict[str, Any]] = {
    "kind": {"type": "str", "choices": [*KINDS]},
    "method": {"type": "str", "choices": [*METHODS], "default": "cgroup"},
    "unit": TEXT,
    "workers": {"type": "int", "default": 0},
    "percent": {"type": "int"},
    "bytes": {"type": "int"},
    "spare": {"type": "bool", "default": True},
    "path": TEXT,
    "count": {"type": "int", "default": 0},
    "address": TEXT,
    "port": {"type": "int"},
    "socket": TEXT,
    "user": {"type": "str", "default": "postgres"},
    "database": {"type": "str", "default": "postgres"},
    "leave": {"type": "int", "default": 0},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={**FAULT_OPTIONS, **OPTIONS},
        required_if=[("state", "injected", ["ttl", "kind"])],
        supports_check_mode=True,
    )
    act(module, plan_of)


if __name__ == "__main__":
    main()
