#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: data that is damaged or lost."""

from __future__ import annotations

DOCUMENTATION = r"""
module: corrupt
short_description: Damage or remove a member's data
version_added: 0.1.0
author: The halab authors
description:
  - Runs on the member whose data is to be damaged, also while its component runs, and tells in C(achieved) who uses it.
  - The original is kept in a hidden folder in the root of the same filesystem. Healing puts it back, but only where the
    damage is still exactly as it was left; what the component has repaired or replaced since stays as it is, and the
    original is then discarded.
  - Refused unless a majority of O(members) has undamaged data afterwards. A machine knows only its own ledger, so the
    others' must be asked by M(halab.faults.info) and told in O(touched), as the playbook C(faults/corrupt.yml) does.
  - Times of files are kept, so that the damage is silent. Owner and mode are kept and restored.
extends_documentation_fragment:
  - halab.faults.attributes
  - halab.faults.fault
  - halab.faults.node_ledger
attributes:
  check_mode: {support: full}
  diff_mode: {support: full}
  idempotent: {support: full}
options:
  kind:
    description:
      - V(flip) turns over O(count) bits in the region, V(zero) writes zeros over it.
      - V(truncate) cuts the file off at O(offset).
      - V(remove) removes a file, or a folder with all that is in it. Processes that hold its files open go on writing
        to them, as after C(rm); those files are what healing puts back.
      - Required for O(state=injected).
    type: str
    choices: [flip, truncate, zero, remove]
  path:
    description: File or folder. Symbolic links are followed first. Required for O(state=injected).
    type: path
  pattern:
    description: Glob that, with O(seed), chooses a file below the folder O(path), for kinds other than V(remove).
    type: str
    default: ''
  offset:
    description: First byte of the region. Counts from the end when negative.
    type: int
    default: 0
  length:
    description: Bytes of the region, 0 for all from O(offset).
    type: int
    default: 0
  count:
    description: Bits that V(flip) turns over, up to 100000.
    type: int
    default: 1
  seed:
    description: Chooses bits, and a file for O(pattern). The same seed chooses the same.
    type: int
    default: 0
  restore:
    description:
      - Whether healing puts back what was not repaired.
      - Without, healing waits O(repaired_within) seconds for the component to repair or replace it, and fails while it
        has not. The original stays until then.
    type: bool
    default: true
  repaired_within:
    description: Seconds, up to 100, that healing waits for a repair with O(restore=false).
    type: int
    default: 60
  members:
    description: Names of all members of the cluster that the data belongs to. Required for O(state=injected).
    type: list
    elements: str
  member:
    description: This machine's name among O(members). Required for O(state=injected).
    type: str
  touched:
    description: Members whose data is damaged already, or cannot be asked.
    type: list
    elements: str
    default: []
  allowed_roots:
    description: Folders below which data may be damaged. Those of the system are refused whatever is given.
    type: list
    elements: path
    default: [/srv, /mnt, /data, /var/lib/postgresql, /var/lib/etcd, /var/lib/redis]
seealso:
  - module: halab.faults.disk
"""

EXAMPLES = r"""
- name: Three bits in a segment of etcd's log
  halab.faults.corrupt:
    id: flip-1
    ttl: 120
    kind: flip
    path: /srv/data/etcd
    pattern: member/wal/*.wal
    count: 3
    members: [etcd1, etcd2, etcd3]
    member: etcd2

- name: A replica loses its data directory and must be cloned anew
  halab.faults.corrupt:
    id: lost-1
    ttl: 300
    kind: remove
    path: /srv/data/postgresql/17/main
    restore: false
    members: [pg1, pg2, pg3]
    member: pg3
"""

RETURN = r"""
id: {description: Name of the fault., returned: success, type: str}
active: {description: Whether the fault acts now., returned: success, type: bool}
target: {description: What the fault acts on., returned: success, type: str}
commands: {description: What was or would be run., returned: when something was done, type: list, elements: list}
evidence: {description: What the last observations saw., returned: when something was done, type: list, elements: str}
achieved:
  description: What was damaged.
  returned: when injected
  type: dict
  contains:
    path: {description: The damaged file or folder., type: str}
    kept_in: {description: Folder of the original., type: str}
    used_by: {description: Processes that used it before., type: list, elements: str}
injected_at: {description: When the commands had been carried out., returned: when injected, type: dict}
observed_at: {description: When the effect had been seen., returned: when injected, type: dict}
expires_at: {description: When the machine heals the fault by itself., returned: when injected, type: dict}
healed_at: {description: When the heal had been carried out., returned: when healed, type: dict}
gone_at: {description: When the absence of the effect had been verified., returned: when healed, type: dict}
"""

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.faults.plugins.module_utils.corrupt import KINDS, ROOTS, plan_of
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import FAULT_OPTIONS, act

OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "kind": {"type": "str", "choices": list(KINDS)},
    "path": {"type": "path"},
    "pattern": {"type": "str", "default": ""},
    "offset": {"type": "int", "default": 0},
    "length": {"type": "int", "default": 0},
    "count": {"type": "int", "default": 1},
    "seed": {"type": "int", "default": 0},
    "restore": {"type": "bool", "default": True},
    "repaired_within": {"type": "int", "default": 60},
    "members": {"type": "list", "elements": "str"},
    "member": {"type": "str"},
    "touched": {"type": "list", "elements": "str", "default": []},
    "allowed_roots": {"type": "list", "elements": "path", "default": list(ROOTS)},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec={**FAULT_OPTIONS, **OPTIONS},
        required_if=[("state", "injected", ["ttl", "kind", "path", "members", "member"])],
        supports_check_mode=True,
    )
    act(module, plan_of)


if __name__ == "__main__":
    main()
