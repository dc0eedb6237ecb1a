#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Node side of halab.stack.files."""

from __future__ import annotations

DOCUMENTATION = r"""
module: files
author: The halab authors
short_description: Render and place many files in one round trip
version_added: 0.1.0
description:
  - Places templates, files of the controller, texts, directories and links on a host, all in one round trip.
  - Everything is read, rendered and compared before anything is written. Each file is then replaced atomically,
    and a step that fails undoes those before it.
  - The content travels compressed in one parameter that is never logged.
extends_documentation_fragment:
  - halab.stack.attributes
attributes:
  check_mode:
    support: full
    details: An owner, a group or a directory that an earlier task would have made counts as a change, not as an error.
  diff_mode:
    support: full
    details: The content of a secret is never shown.
  idempotent:
    support: full
options:
  files:
    description: What to place, in this order.
    type: list
    elements: dict
    suboptions:
      path:
        description: Absolute path on the host.
        type: str
        required: true
      state:
        description:
          - What shall be at O(files[].path). A directory is made with its parents.
          - V(absent) removes a directory with all it holds.
        type: str
        choices: [file, directory, link, absent]
        default: file
      template:
        description: Template of the role or playbook, rendered on the controller with the variables of the task.
        type: str
      source:
        description:
          - File of the controller, absolute or in the C(files) directory of the role or playbook.
          - It may be encrypted by a vault.
        type: path
      content:
        description: The text itself.
        type: str
      target:
        description: Where a link leads.
        type: str
      block:
        description:
          - Name of a block. The content then replaces only the lines between C(# BEGIN name) and C(# END name),
            which are added at the end of the file when they are missing. Other lines are left alone.
        type: str
      validate:
        description: Command that must accept the new file before it is placed; C(%s) stands for its path.
        type: str
      vars:
        description: More variables for this template.
        type: dict
        default: {}
      owner:
        description: Owner, instead of the default of the task.
        type: str
      group:
        description: Group, instead of the default of the task.
        type: str
      mode:
        description:
          - Mode as a quoted octal number with a leading zero, instead of the default of the task.
          - A file with a block keeps its mode when neither is given.
        type: str
      secret:
        description: Whether the content must never be shown in a diff. The mode is V(0600) unless the entry has one.
        type: bool
        default: false
  owner:
    description:
      - Owner of every entry that names none.
      - Without one, new files belong to the remote user and old ones keep their owner.
    type: str
  group:
    description: Group of every entry that names none.
    type: str
  mode:
    description: Mode of every file that names none and is no secret. The default is V(0644).
    type: str
  directory_mode:
    description: Mode of every directory that names none.
    type: str
    default: "0755"
  pending:
    description:
      - Absolute path of a file that holds the changed paths from before the first of them is written
        until somebody removes it, which is to be done when they have taken effect.
      - As long as it is there the paths in it count as changed. So what a killed run has written and not put in force,
        the next one puts in force.
    type: str
"""

EXAMPLES = r"""
- name: Place the configuration and keys of etcd
  halab.stack.files:
    owner: etcd
    group: etcd
    mode: "0640"
    files:
      - {path: /etc/etcd/tls, state: directory, mode: "0750"}
      - {path: /etc/default/etcd, template: etcd.env.j2}
      - {path: /etc/etcd/tls/node.key, source: "{{ etcd_key_file }}", mode: "0600", secret: true}
      - {path: /etc/etcd/old.conf, state: absent}
    pending: /var/lib/halab/pending/etcd.json
  register: etcd_files
  notify: Restart etcd

- name: They are in force
  halab.stack.files:
    files:
      - {path: /var/lib/halab/pending/etcd.json, state: absent}
  when: etcd_files is changed
"""

RETURN = r"""
changed_paths:
  description:
    - Paths that were changed, or would be in check mode.
    - Those that an earlier run has changed and left pending come first.
  returned: always
  type: list
  elements: str
  sample: [/etc/default/etcd]
"""

import base64
import contextlib
import grp
import json
import pwd
import shlex
import zlib
from collections.abc import Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils.files import (
    Entry,
    FilesError,
    Pending,
    Planner,
    Step,
    apply_all,
)


def validator(module: AnsibleModule, entry: Entry, path: str) -> None:
    """Let the command of `entry` judge the new file at `path`. Raises FilesError when it refuses."""
    command = [word.replace("%s", path) for word in shlex.split(str(entry.validate))]
    code, out, err = module.run_command(command)
    if code != 0:
        said = "its message is not shown, it may quote a secret" if entry.secret else (err or out).strip()
        raise FilesError(f"{entry.path}: {command[0]} refuses the new content: {said}")


def plan(payload: str, *, check_mode: bool) -> list[Step]:
    """Return the steps that the entries in `payload` need. Raises FilesError."""
    planner = Planner(check_mode=check_mode)
    entries: Sequence[Any] = json.loads(zlib.decompress(base64.b64decode(payload)))
    return [step for step in (planner.plan(Entry.parse(entry)) for entry in entries) if step]


def place(module: AnsibleModule, steps: Sequence[Step], pending: Pending, left: Sequence[str]) -> None:
    """Apply the steps, with their paths written down as pending before the first. Raises FilesError."""
    pending.add(left, [step.entry.path for step in steps])
    try:
        apply_all(steps, validate=lambda entry, path: validator(module, entry, path))
    except FilesError:
        pending.restore(left)
        raise


def difference(step: Step) -> dict[str, str]:
    """Return before and after of one step in Ansible's form, without the content of a secret."""
    entry, present = step.entry, step.present
    before = _shown(entry, present.kind, present.content, present.target)
    after = _shown(entry, entry.state, step.content, entry.target)
    if entry.secret and before == after and step.content != present.content:
        after = "(another secret)\n"
    if present.kind == entry.state != "link":
        before = _rights(present.uid, present.gid, present.mode) + before
        after = _rights(step.uid, step.gid, step.mode) + after
    return {"before_header": entry.path, "after_header": entry.path, "before": before, "after": after}


def _rights(uid: int, gid: int, mode: int) -> str:
    owner, group = str(uid), str(gid)
    with contextlib.suppress(KeyError):
        owner = pwd.getpwuid(uid).pw_name
    with contextlib.suppress(KeyError):
        group = grp.getgrgid(gid).gr_name
    return f"[owner {owner}, group {group}, mode {mode:04o}]\n"


def _shown(entry: Entry, kind: str, content: bytes | None, target: str | None) -> str:
    if kind != "file":
        return {"absent": "", "link": f"link to {target}\n"}.get(kind, f"{kind}\n")
    if entry.secret:
        return "(secret)\n"
    if content is None:
        return "(content known only when it is made)\n"
    try:
        return content.decode()
    except UnicodeDecodeError:
        return "(binary)\n"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={"payload": {"type": "str", "required": True, "no_log": True}, "pending": {"type": "str"}},
        supports_check_mode=True,
    )
    pending = Pending(module.params["pending"])
    try:
        left = pending.read()
        steps = plan(module.params["payload"], check_mode=module.check_mode)
        if steps and not module.check_mode:
            place(module, steps, pending, left)
    except FilesError as error:
        module.fail_json(msg=str(error))
    paths = list(dict.fromkeys([*left, *(step.entry.path for step in steps)]))
    result: dict[str, Any] = {"changed": bool(paths), "changed_paths": paths}
    if module._diff:
        old = [{"before": "", "after": f"{path}: changed by an earlier run, not in force yet\n"} for path in left]
        result["diff"] = [*old, *(difference(step) for step in steps)]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
