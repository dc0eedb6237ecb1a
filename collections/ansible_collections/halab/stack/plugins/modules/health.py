#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of halab.stack.health; the action plugin of this name does all the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: health
author: The halab authors
short_description: Judge whether a cluster is whole
version_added: 0.1.0
description:
  - Takes what the info modules of this collection registered and says everything that is wrong, in words.
  - The results of tasks that were skipped, because a component is not part of the cluster, are passed over.
extends_documentation_fragment:
  - halab.stack.attributes
attributes:
  check_mode:
    support: full
    details: Never changes anything.
  diff_mode:
    support: none
    details: Never changes anything.
  idempotent:
    support: full
options:
  etcd:
    description: Result of M(halab.stack.etcd_info).
    type: dict
  patroni:
    description: Result of M(halab.stack.patroni_info).
    type: dict
  workers:
    description:
      - With Citus, the results of M(halab.stack.patroni_info) of a loop over the groups of workers,
        each of whose items has the number as C(group). O(patroni) is then the coordinator's.
    type: list
    elements: dict
    default: []
  citus:
    description: With Citus, the result of M(halab.stack.citus_info) for each server, by host.
    type: dict
    default: {}
  haproxy:
    description: Result of M(halab.stack.haproxy_info).
    type: dict
  redis:
    description: Result of M(halab.stack.redis_info).
    type: dict
  synchronous_mode:
    description: What the cluster declares; a mode other than V(off) needs standbys that the leader counts on.
    type: str
    choices: ["off", "on", strict, quorum]
    default: quorum
  address:
    description: Address that the balancers share; empty when there is none.
    type: str
    default: ""
  required:
    description: Whether an unhealthy cluster fails the task.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: The cluster is whole
  halab.stack.health:
    etcd: "{{ etcd }}"
    patroni: "{{ patroni }}"
    synchronous_mode: quorum
"""

RETURN = r"""
healthy:
  description: Whether nothing is wrong.
  returned: always
  type: bool
problems:
  description: What is wrong, each with the component and the member.
  returned: always
  type: list
  elements: str
  sample: ["patroni pg2: does not stream from the leader (state starting)"]
"""
