#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The data directory of an etcd member."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_data
author: The halab authors
short_description: Claim the data directory of an etcd member for a cluster
version_added: 0.1.0
description:
  - Makes the data directory and writes the cluster's token into C(cluster-token) in it.
  - Refuses a directory that holds the data of another cluster. etcd itself ignores the configured token
    once there is data, and would go on as a member of the old cluster.
extends_documentation_fragment:
  - halab.stack.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  path:
    description: The data directory.
    type: str
    required: true
  token:
    description: Token of the cluster.
    type: str
    required: true
  owner:
    description: User and group that etcd runs as.
    type: str
    default: etcd
"""

EXAMPLES = r"""
- name: Claim the data directory
  halab.stack.etcd_data:
    path: /srv/data/etcd
    token: main
"""

RETURN = r"""
changed_paths:
  description: Paths that were changed, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: [/srv/data/etcd, /srv/data/etcd/cluster-token]
empty:
  description: Whether the directory holds no data of a member, so that it has to join its cluster or to begin one.
  returned: always
  type: bool
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils.files import Entry, FilesError, Planner, Step, apply_all

ARGUMENTS = {
    "path": {"type": "str", "required": True},
    "token": {"type": "str", "required": True, "no_log": False},
    "owner": {"type": "str", "default": "etcd"},
}


def refusal(directory: Path, token: str) -> str | None:
    """Return why `directory` cannot be claimed for the cluster called `token`, None when it can. Raises OSError."""
    marker = directory / "cluster-token"
    if marker.exists():
        present = marker.read_text(encoding="utf-8").strip()
        if present == token:
            return None
        return (
            f"etcd_cluster_token is {token}, but {directory} holds the data of cluster {present}: "
            f"set etcd_cluster_token to {present}, or stop etcd and move {directory} away to begin anew"
        )
    if (directory / "member").exists():
        return (
            f"{directory} holds the data of a cluster whose token is not known: move it away to begin anew, "
            f"or write {token} into {marker} if the data belongs to this cluster"
        )
    return None


def plan(directory: Path, token: str, owner: str, *, check_mode: bool) -> list[Step]:
    """Return what is missing for `directory` to be claimed. Raises FilesError."""
    marker, content = str(directory / "cluster-token"), f"{token}\n".encode()
    entries = [
        Entry(path=str(directory), state="directory", owner=owner, group=owner, mode=0o700),
        Entry(path=marker, state="file", owner=owner, group=owner, mode=0o600, content=content),
    ]
    planner = Planner(check_mode=check_mode)
    return [step for step in map(planner.plan, entries) if step]


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    directory, token = Path(module.params["path"]), module.params["token"]
    try:
        refused = refusal(directory, token)
        if refused:
            module.fail_json(msg=refused)
        steps = plan(directory, token, module.params["owner"], check_mode=module.check_mode)
        if not module.check_mode:
            apply_all(steps)
    except (FilesError, OSError) as error:
        module.fail_json(msg=str(error))
    paths = [step.entry.path for step in steps]
    diff = {"before": "", "after": "".join(f"{path}\n" for path in paths)}
    empty = not any((directory / "member/wal").glob("*.wal"))
    module.exit_json(changed=bool(steps), changed_paths=paths, empty=empty, diff=diff)


if __name__ == "__main__":
    main()
