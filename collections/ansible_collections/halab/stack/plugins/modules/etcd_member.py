#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""One etcd member: start it, wait until it serves, restart it without costing the cluster its quorum."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_member
author: The halab authors
short_description: Start an etcd member and wait for it, or restart it safely
version_added: 0.1.0
description:
  - V(serving) enables and starts the member where it is not, and waits until it serves reads that a quorum agrees on.
  - V(listening) enables and starts the member where it is not, and waits until it listens for other members. That it
    can do long before it serves, for which it needs them.
  - V(restarted) restarts the member and waits until it serves again. It first waits until enough other members serve
    to be a quorum without this one, and refuses to restart when they do not. So a setting that etcd does not take
    stops one member and no second one.
  - Runs on the member's own host.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.tls_client
attributes:
  check_mode:
    support: full
    details: Does not wait.
  diff_mode:
    support: none
    details: Changes nothing that could be shown.
  idempotent:
    support: partial
    details: V(restarted) restarts each time, which is why it belongs into a handler.
options:
  state:
    description: What shall be when the module ends.
    type: str
    choices: [serving, listening, restarted]
    default: serving
  endpoint:
    description: URL of this member for clients.
    type: str
    required: true
  peer:
    description: URL of this member for other members. V(listening) needs it.
    type: str
  others:
    description: URLs of the other members for clients.
    type: list
    elements: str
    default: []
  service:
    description: Name of the systemd service.
    type: str
    default: etcd
  environment_file:
    description: File with the settings of the service, from which RV(outdated) is told.
    type: path
    default: /etc/default/etcd
  within_s:
    description: Seconds to wait for the member, and before a restart for the others.
    type: float
    default: 60.0
"""

EXAMPLES = r"""
- name: Start etcd and wait until it serves
  halab.stack.etcd_member:
    endpoint: https://10.0.0.1:2379
    ca_file: /etc/etcd/tls/ca.crt
    cert_file: /etc/etcd/tls/node.crt
    key_file: /etc/etcd/tls/node.key
  register: member
  changed_when: member is changed or member.outdated | default(false)
  notify: Restart etcd

- name: Restart etcd
  halab.stack.etcd_member:
    state: restarted
    endpoint: https://10.0.0.1:2379
    others: ["https://10.0.0.2:2379", "https://10.0.0.3:2379"]
    ca_file: /etc/etcd/tls/ca.crt
    cert_file: /etc/etcd/tls/node.crt
    key_file: /etc/etcd/tls/node.key
  throttle: 1
"""

RETURN = r"""
outdated:
  description:
    - Whether the member runs with other settings than its file has,
      as after a run that was interrupted before the restart.
    - V(serving) does not wait for such a member.
  returned: always
  type: bool
"""

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils.etcd import EtcdUnavailableError, Member, eventually, quorum
from ansible_collections.halab.stack.plugins.module_utils.etcd_unit import (
    await_listening,
    await_serving,
    fail,
    start,
    unit,
)
from ansible_collections.halab.stack.plugins.module_utils.http import Client, HttpError, in_parallel

ARGUMENTS = {
    "state": {"type": "str", "choices": ["serving", "listening", "restarted"], "default": "serving"},
    "endpoint": {"type": "str", "required": True},
    "peer": {"type": "str"},
    "others": {"type": "list", "elements": "str", "default": []},
    "service": {"type": "str", "default": "etcd"},
    "environment_file": {"type": "path", "default": "/etc/default/etcd"},
    "ca_file": {"type": "path", "required": True},
    "cert_file": {"type": "path", "required": True},
    "key_file": {"type": "path", "required": True, "no_log": False},
    "deadline_s": {"type": "float", "default": 3.0},
    "within_s": {"type": "float", "default": 60.0},
}


def settings(lines: Sequence[str]) -> dict[str, str]:
    """Return the variables in lines of `NAME=value` that this collection writes and a running etcd heeds."""
    pairs = (line.partition("=")[::2] for line in lines)
    ours = ((name, value) for name, value in pairs if name.startswith(("ETCD_", "HALAB_")))
    # These are read only by a member without data.
    return {name: " ".join(shlex.split(value)) for name, value in ours if not name.startswith("ETCD_INITIAL_CLUSTER")}


def outdated(module: AnsibleModule, pid: str) -> bool:
    """Tell whether process `pid` runs with other settings than the file has; false when there is no such process."""
    process, path = Path(f"/proc/{pid}"), Path(module.params["environment_file"])
    try:
        owner = process.stat()
        wanted = settings(path.read_text(encoding="utf-8").splitlines())
    except FileNotFoundError:
        return False
    # Root of a container may not look into the processes of others, but everybody into those of their own.
    command = ["cat", str(process / "environ")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, user=owner.st_uid, group=owner.st_gid, extra_groups=[]
    )
    if done.returncode != 0 and process.exists():
        module.fail_json(msg=f"the settings that {module.params['service']} runs with are not known: {done.stderr}")
    running = settings(done.stdout.split("\0"))
    return done.returncode == 0 and any(running.get(name) != value for name, value in wanted.items())


def await_others(members: Sequence[Member], *, within_s: float) -> None:
    """Return when `members` are a quorum of the cluster without the one that restarts. Raises EtcdUnavailableError."""
    needed = quorum(len(members) + 1)

    def once() -> None:
        failures = [why for why in in_parallel(Member.why_unhealthy, members) if why]
        if len(members) - len(failures) < needed:
            raise EtcdUnavailableError("; ".join(failures) or f"there are only {len(members)} other members")

    eventually(once, within_s=within_s)


def restart(module: AnsibleModule, members: Mapping[str, Member]) -> None:
    """Restart the service when the cluster can do without it for a moment."""
    params = module.params
    others = [members[url] for url in params["others"]]
    # A cluster of one or two members has no quorum without one of them; it is down during a restart in any case.
    if len(others) >= 2:
        try:
            await_others(others, within_s=params["within_s"])
        except EtcdUnavailableError as error:
            module.fail_json(
                msg=f"{params['service']} is not restarted, because the cluster would lose its quorum: the others did "
                f"not serve within {params['within_s']:g} s; mend them and run again. Last: {error}"
            )
    # The unit tells systemd when the member has joined, so the command returns after that and not with the old process.
    command = ["systemctl", "restart", params["service"]]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=params["within_s"])
    except subprocess.TimeoutExpired:
        fail(module, f"did not join its cluster within {params['within_s']:g} s after its restart")
    if done.returncode != 0:
        fail(module, "did not start again")


def connect(module: AnsibleModule) -> dict[str, Member]:
    """Return all members by their URLs."""
    params = module.params
    files = {name: params[name] for name in ("ca_file", "cert_file", "key_file")}
    try:
        client = Client.connectable(**files)
    except HttpError as error:
        module.fail_json(msg=str(error))
    return {url: Member(client, url, params["deadline_s"]) for url in (params["endpoint"], *params["others"])}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS, required_if=[("state", "listening", ("peer",))], supports_check_mode=True
    )
    params = module.params
    restarting = params["state"] == "restarted"
    known = unit(module)
    stale = outdated(module, known.get("MainPID", "0"))
    changed = restarting or start(module, known)
    if params["state"] == "listening" and not module.check_mode:
        changed = await_listening(module, params["peer"], stale=stale) or changed
        module.exit_json(changed=changed, outdated=stale)
    if module.check_mode or (stale and not restarting):
        module.exit_json(changed=changed, outdated=stale)
    members = connect(module)
    if restarting:
        restart(module, members)
    await_serving(module, members[params["endpoint"]])
    module.exit_json(changed=changed, outdated=False)


if __name__ == "__main__":
    main()
