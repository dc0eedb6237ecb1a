#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Documentation of halab.stack.preflight; the action plugin of this name does all the work."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
author: The halab authors
short_description: Refuse an impossible cluster before anything is changed
version_added: 0.1.0
description:
  - Judges the inventory on the controller, without reaching any host, and fails with all problems at once.
    Each names the key, its value and the fix.
  - Reads the groups V(etcd), V(patroni), V(haproxy) and V(redis), the variables of their hosts,
    and the literal defaults of the roles of this collection.
  - Looks for missing and empty groups, an even count of etcd members, two Sentinels, missing or duplicate addresses,
    invalid ports and two components of one host on the same port, unknown or contradictory timers,
    a synchronous mode that the members cannot keep, parameters that Patroni would silently drop,
    unsupported versions, differing values within one cluster, empty passwords, a router address that a host has,
    and a missing state directory.
  - The variable C(citus) says whether the package of Citus has to be had, V(required), the cluster goes on without,
    V(auto), or nobody asks, V(absent). By default it is V(required) where hosts have a C(patroni_group),
    and V(absent) elsewhere.
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
  required_groups:
    description: Groups that must have hosts.
    type: list
    elements: str
    default: [etcd, patroni, haproxy, redis]
notes:
  - Run it once per play, with C(run_once), in a play over C(all) without facts.
"""

EXAMPLES = r"""
- name: Refuse an impossible inventory
  hosts: all
  gather_facts: false
  tasks:
    - name: Preflight
      halab.stack.preflight:
      run_once: true
"""

RETURN = r"""
notes:
  description: What is good to know, such as where Citus comes from or that the cluster goes on without.
  returned: always
  type: list
  elements: str
  sample: ["citus: postgresql-17-citus-14.0_14.0.1.citus-1_amd64.deb"]
problems:
  description: What is wrong; empty when the inventory is sound.
  returned: always
  type: list
  elements: dict
  contains:
    key:
      description: What to change, and of which host where that matters.
      type: str
    value:
      description: Its value now; never that of a password.
      type: str
    fix:
      description: What to do about it, and why.
      type: str
  sample:
    - key: group etcd
      value: 4 hosts
      fix: "use 3 or 5: an even count survives no more losses than one host less, and splits evenly"
"""
