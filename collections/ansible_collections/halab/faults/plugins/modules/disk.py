#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Module: a disk that is full, read-only, slow or failing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: disk
short_description: Make a disk full, read-only, slow or failing
version_added: 0.1.0
author: The halab authors
description:
  - Runs on the machine whose disk is to fail. Proves the effect by real writes, counts of the kernel and timed I/O.
  - V(full) and V(inodes) keep files in a hidden folder of their own in the filesystem's root and remove it to heal.
  - V(read_only) needs the right to mount (C(CAP_SYS_ADMIN)), which containers lack.
  - V(slow) sets the limits of a control group, which must be writable; in containers it is not.
  - V(sync_delay), V(sync_error) and V(eio) trace processes with strace, which works in containers too. The kernel lets
    go of them when strace ends, so they heal at once whatever ends it. All their system calls become slower meanwhile,
    since each stops at the tracer; see the documentation of the faults for figures.
  - Two faults on the space or the mode of one filesystem are refused, since one would keep the other from healing.
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
      - V(full) takes the space, V(inodes) the inodes; V(read_only) mounts read-only.
      - V(slow) limits operations or bytes per second.
      - V(sync_delay) delays system calls, V(sync_error) fails them with O(error), V(eio) fails reads and writes.
      - Required for O(state=injected).
    type: str
    choices: [full, inodes, read_only, slow, sync_delay, sync_error, eio]
  path:
    description: An existing path on the filesystem. Required for V(full), V(inodes), V(read_only) and V(slow).
    type: path
  leave:
    description:
      - Bytes (V(full)) or inodes (V(inodes)) that stay free.
      - At least 16 MiB or 1000 inodes where the ledger lies on the same filesystem, 256 MiB on the root filesystem.
    type: int
    default: 0
  reserved:
    description:
      - Filesystems as ext4 reserve blocks for root. V(kept) leaves them, so that services run out of space and root
        does not.
      - V(taken) takes them too, so that nobody can write. For O(leave=0) only.
    type: str
    choices: [kept, taken]
    default: kept
  keep:
    description:
      - Whether what becomes free meanwhile is taken again, by a process that looks ten times a second.
      - Without it a service can help itself by removing files, as one with a cleanup job would.
    type: bool
    default: true
  method:
    description:
      - How O(kind=read_only) is brought about. V(remount) is refused while a process has a file open for writing.
      - V(abort) has ext4 give up its journal as after an error of the disk; healing stops O(units), unmounts, checks
        and mounts the filesystem and starts the units again.
    type: str
    choices: [remount, abort]
    default: remount
  units:
    description: Units that use the filesystem, at rest while O(method=abort) is healed, then started if they ran.
    type: list
    elements: str
    default: []
  read_iops:
    description: Reads per second of O(kind=slow), 1 to 5000.
    type: int
  write_iops:
    description: Writes per second of O(kind=slow), 1 to 5000.
    type: int
  read_bps:
    description: Bytes read per second of O(kind=slow), 4096 to 1073741824.
    type: int
  write_bps:
    description: Bytes written per second of O(kind=slow), 4096 to 1073741824.
    type: int
  unit:
    description:
      - Systemd unit whose processes are to be slow or to fail.
      - A restart gives the unit a new control group, which V(slow) does not follow; tracing follows.
    type: str
    default: ''
  cgroup:
    description: Folder of a control group, in place of O(unit) for O(kind=slow).
    type: path
  process:
    description:
      - Regular expression over command lines that chooses among the unit's processes, or among all without O(unit).
      - Children and threads of a chosen process are chosen as well when it starts them.
    type: str
    default: ''
  syscalls:
    description:
      - System calls to alter. By default C(fsync) and C(fdatasync); for V(eio) those that read and write at an offset,
        which sockets and pipes do not use. C(read) and C(write) also hit sockets, unless O(files) is given.
    type: list
    elements: str
    default: []
  files:
    description: Alter only calls on these files, given by their paths.
    type: list
    elements: path
    default: []
  delay_ms:
    description: Milliseconds by which O(kind=sync_delay) delays each call, up to 600000.
    type: int
    default: 300
  error:
    description: What calls answer under O(kind=sync_error).
    type: str
    choices: [EIO, ENOSPC, EROFS, EDQUOT]
    default: EIO
  every:
    description: Alter every n-th call of each thread; 1 alters all.
    type: int
    default: 1
  first_call_within:
    description:
      - Seconds, up to 300, within which a first call must have been altered, else the fault fails as not observed.
      - With 0 it counts as acting once every thread of the chosen processes is traced.
    type: int
    default: 0
seealso:
  - module: halab.faults.corrupt
"""

EXAMPLES = r"""
- name: No space left where PostgreSQL writes
  halab.faults.disk:
    id: full-1
    ttl: 60
    kind: full
    path: /srv/data

- name: Every fsync of etcd takes half a second longer
  halab.faults.disk:
    id: stall-1
    ttl: 60
    kind: sync_delay
    unit: etcd.service
    delay_ms: 500

- name: The checkpointer's syncs fail
  halab.faults.disk:
    id: broken-1
    ttl: 60
    kind: sync_error
    unit: patroni.service
    process: checkpointer

- name: Heal
  halab.faults.disk:
    id: full-1
    state: healed
"""

RETURN = r"""
id: {description: Name of the fault., returned: success, type: str}
active: {description: Whether the fault acts now., returned: success, type: bool}
target: {description: What the fault acts on., returned: success, type: str}
commands: {description: What was or would be run., returned: when something was done, type: list, elements: list}
evidence: {description: What the last observations saw., returned: when something was done, type: list, elements: str}
injected_at: {description: When the commands had been carried out., returned: when injected, type: dict}
observed_at: {description: When the effect had been seen., returned: when injected, type: dict}
expires_at: {description: When the machine heals the fault by itself., returned: when injected, type: dict}
healed_at: {description: When the heal had been carried out., returned: when healed, type: dict}
gone_at: {description: When the absence of the effect had been verified., returned: when healed, type: dict}
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.faults.plugins.module_utils import disk_plan, disk_plan_io
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import FAULT_OPTIONS, act
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import Plan

PLANS: Mapping[str, Callable[[Mapping[str, Any]], Plan]] = {
    "full": disk_plan.plan_space,
    "inodes": disk_plan.plan_space,
    "read_only": disk_plan.plan_read_only,
    "slow": disk_plan_io.plan_slow,
    "sync_delay": disk_plan_io.plan_calls,
    "sync_error": disk_plan_io.plan_calls,
    "eio": disk_plan_io.plan_calls,
}
OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "kind": {"type": "str", "choices": list(PLANS)},
    "path": {"type": "path"},
    "leave": {"type": "int", "default": 0},
    "reserved": {"type": "str", "choices": ["kept", "taken"], "default": "kept"},
    "keep": {"type": "bool", "default": True},
    "method": {"type": "str", "choices": ["remount", "abort"], "default": "remount"},
    "units": {"type": "list", "elements": "str", "default": []},
    **{name: {"type": "int"} for name in disk_plan_io.LIMITS},
    "unit": {"type": "str", "default": ""},
    "cgroup": {"type": "path"},
    "process": {"type": "str", "default": ""},
    "syscalls": {"type": "list", "elements": "str", "default": []},
    "files": {"type": "list", "elements": "path", "default": []},
    "delay_ms": {"type": "int", "default": 300},
    "error": {"type": "str", "choices": ["EIO", "ENOSPC", "EROFS", "EDQUOT"], "default": "EIO"},
    "every": {"type": "int", "default": 1},
    "first_call_within": {"type": "int", "default": 0},
}


def plan_of(parameters: Mapping[str, Any]) -> Plan:
    """The plan of one disk fault. Raises FaultError, OSError, ValueError when it is refused."""
    return PLANS[parameters["kind"]](parameters)


def main() -> None:
    module = AnsibleModule(
        argument_spec={**FAULT_OPTIONS, **OPTIONS},
        required_if=[("state", "injected", ["ttl", "kind"])],
        supports_check_mode=True,
    )
    act(module, plan_of)


if __name__ == "__main__":
    main()
