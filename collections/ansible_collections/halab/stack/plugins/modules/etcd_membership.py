#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who belongs to an etcd cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_membership
author: The halab authors
short_description: Let an etcd member join a running cluster, or let go of those that are not declared
description:
  - V(joined) is for a member whose data directory is empty. When the others serve, the member that it was, and dead
    members that are not declared, are removed from the cluster. It is then added, started, and waited for.
    When there has never been a cluster it does nothing, so that the member can begin one with the others.
  - V(left) removes the member of this host, whether it runs or not.
  - V(exact) removes the members that are not declared, one at a time, when every declared one serves.
    A leader that is removed hands over first.
  - Nothing costs the cluster its quorum, since etcd refuses such steps and the module waits until it takes them.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.tls_client
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description: What shall be when the module ends.
    type: str
    choices: [joined, left, exact]
    required: true
  members:
    description: The declared members.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name of the member.
        type: str
        required: true
      address:
        description: IP address of the member.
        type: str
        required: true
  client_port:
    description: Port for clients.
    type: int
    default: 2379
  peer_port:
    description: Port for other members.
    type: int
    default: 2380
  root_password:
    description: Password of etcd's user C(root).
    type: str
    required: true
  name:
    description: Name of the member on this host. V(joined) and V(left) need it.
    type: str
  environment_file:
    description:
      - File with the settings that a member needs once, when it joins.
        The service has to read it after its other settings.
      - V(joined) needs it.
    type: path
  complete:
    description: Whether all declared members are provisioned together and may begin a cluster when none serves.
    type: bool
    default: true
  service:
    description: Name of the systemd service.
    type: str
    default: etcd
  within_s:
    description: Seconds to wait for the others to serve, for etcd to take a step, and for the new member to serve.
    type: float
    default: 60.0
"""

EXAMPLES = r"""
- name: Join the cluster that is there
  halab.stack.etcd_membership:
    state: joined
    name: etcd3
    members:
      - {name: etcd1, address: 10.0.0.1}
      - {name: etcd2, address: 10.0.0.2}
      - {name: etcd3, address: 10.0.0.3}
    root_password: "{{ etcd_root_password }}"
    environment_file: /srv/data/etcd/join.env
    ca_file: /etc/etcd/tls/ca.crt
    cert_file: /etc/etcd/tls/node.crt
    key_file: /etc/etcd/tls/node.key
  throttle: 1
"""

RETURN = r"""
actions:
  description: What was done, or would be in check mode.
  returned: always
  type: list
  elements: str
  sample: ["remove etcd3 at https://10.0.0.3:2380", "add etcd3 at https://10.0.0.3:2380"]
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils import etcd_membership, etcd_unit
from ansible_collections.halab.stack.plugins.module_utils.etcd import (
    EtcdError,
    EtcdUnavailableError,
    Member,
    eventually,
)
from ansible_collections.halab.stack.plugins.module_utils.files import Entry, FilesError, Planner, apply_all
from ansible_collections.halab.stack.plugins.module_utils.http import Client, HttpError, authority

MEMBER = {"name": {"type": "str", "required": True}, "address": {"type": "str", "required": True}}
ARGUMENTS: dict[str, Any] = {
    "state": {"type": "str", "choices": ["joined", "left", "exact"], "required": True},
    "members": {"type": "list", "elements": "dict", "required": True, "options": MEMBER},
    "client_port": {"type": "int", "default": 2379},
    "peer_port": {"type": "int", "default": 2380},
    "root_password": {"type": "str", "required": True, "no_log": True},
    "name": {"type": "str"},
    "environment_file": {"type": "path"},
    "complete": {"type": "bool", "default": True},
    "service": {"type": "str", "default": "etcd"},
    "within_s": {"type": "float", "default": 60.0},
    "ca_file": {"type": "path", "required": True},
    "cert_file": {"type": "path", "required": True},
    "key_file": {"type": "path", "required": True, "no_log": False},
    "deadline_s": {"type": "float", "default": 3.0},
}


class Cluster:
    """The cluster as the module changes it; `actions` grows with what was done, or would be."""

    def __init__(self, module: AnsibleModule, client: Client) -> None:
        self.module = module
        self.params = module.params
        self.declared = {self._url(one["address"], "peer_port"): one["name"] for one in self.params["members"]}
        self.actions: list[str] = []
        self._client = client
        self._within_s = self.params["deadline_s" if module.check_mode else "within_s"]

    def member(self, address: str) -> Member:
        """The declared member at an address."""
        return Member(self._client, self._url(address, "client_port"), self.params["deadline_s"])

    def _url(self, address: str, port: str) -> str:
        return f"https://{authority(address, self.params[port])}"

    def join(self) -> None:
        """Bring the empty member of this host in. Raises EtcdError and FilesError."""
        params = self.params
        mine = next(one for one in params["members"] if one["name"] == params["name"])
        others = [self.member(one["address"]) for one in params["members"] if one != mine]
        if params["complete"] and not self._was_whole(mine):
            return
        try:
            entry = etcd_membership.serving(others, within_s=self._within_s)
        except EtcdUnavailableError as error:
            raise EtcdError(
                f"{mine['name']} has no data, and the others, which it would have to join, do not serve: {error}. Mend "
                "them first; a new cluster is begun by all of its members in one run, without --limit"
            ) from error
        root = entry.as_root(params["root_password"]) or entry
        known = etcd_membership.peers(root)
        dead = etcd_membership.dead_of(known, root)
        url = self._url(mine["address"], "peer_port")
        plan = etcd_membership.plan(known, name=mine["name"], url=url, declared=self.declared, dead=dead)
        for peer in plan.removed:
            self._remove(root, peer)
        if plan.added:
            self._do(
                f"add {mine['name']} at {url}",
                lambda: root.call("/v3/cluster/member/add", {"peerURLs": [url]}),
            )
        self._do(f"start {mine['name']}", lambda: self._start(root, mine))

    def leave(self) -> None:
        """Take the member of this host out. Raises EtcdError."""
        params = self.params
        mine = next(one for one in params["members"] if one["name"] == params["name"])
        others = [self.member(one["address"]) for one in params["members"] if one != mine]
        entry = etcd_membership.serving(others, within_s=self._within_s)
        root = entry.as_root(params["root_password"]) or entry
        url = self._url(mine["address"], "peer_port")
        for peer in etcd_membership.peers(root):
            if url in peer.peer_urls:
                self._hand_over(root, peer)
                self._remove(root, peer)

    def let_go(self) -> None:
        """Remove the members that are not declared. Raises EtcdError."""
        members = [self.member(one["address"]) for one in self.params["members"]]
        try:
            entry = etcd_membership.serving(members, within_s=self._within_s)
        except EtcdUnavailableError:
            # On new hosts check mode has only pretended to begin a cluster.
            if self.module.check_mode:
                return
            raise
        root = entry.as_root(self.params["root_password"]) or entry
        for peer in etcd_membership.undeclared(etcd_membership.peers(root), self.declared):
            self._hand_over(root, peer)
            self._remove(root, peer)

    def _was_whole(self, mine: Mapping[str, str]) -> bool:
        urls = [self._url(one["address"], "peer_port") for one in self.params["members"] if one != mine]

        def once() -> bool:
            return etcd_membership.was_whole(self._client, urls, deadline_s=self.params["deadline_s"])

        return eventually(once, within_s=self.params["within_s"])

    def _start(self, root: Member, mine: Mapping[str, str]) -> None:
        known = etcd_membership.peers(root)
        text = (
            f"ETCD_INITIAL_CLUSTER={etcd_membership.initial_cluster(known, self.declared)}\n"
            "ETCD_INITIAL_CLUSTER_STATE=existing\n"
        )
        path = self.params["environment_file"]
        step = Planner(check_mode=False).plan(Entry(path=path, state="file", mode=0o600, content=text.encode()))
        apply_all([step] if step else [])
        # It may run already, in vain: as one of a cluster that was never whole.
        known_unit = etcd_unit.unit(self.module)
        if known_unit.get("ActiveState") in ("active", "activating", "reloading"):
            etcd_unit.systemctl(self.module, "stop", self.params["service"])
        etcd_unit.start(self.module, etcd_unit.unit(self.module))
        etcd_unit.await_serving(self.module, self.member(mine["address"]))

    def _hand_over(self, root: Member, peer: etcd_membership.Peer) -> None:
        status = root.call("/v3/maintenance/status")
        if str(status.get("leader")) != peer.id or self.module.check_mode:
            return
        target = str(status["header"]["member_id"])
        for url in peer.client_urls:
            leader = Member(root.client, url, root.deadline_s, root.token)
            leader.call("/v3/maintenance/transfer-leadership", {"targetID": target})

    def _remove(self, root: Member, peer: etcd_membership.Peer) -> None:
        self._do(f"remove {peer.words}", lambda: root.call("/v3/cluster/member/remove", {"ID": peer.id}))

    def _do(self, words: str, step: Callable[[], object]) -> None:
        """Take one step as soon as etcd lets it: it refuses while a member is not connected, as one that just came."""
        if not self.module.check_mode:
            eventually(step, within_s=self.params["within_s"])
        self.actions.append(words)


def run(module: AnsibleModule, client: Client) -> Sequence[str]:
    """Do what the module is for and return what was done."""
    cluster = Cluster(module, client)
    try:
        {"joined": cluster.join, "left": cluster.leave, "exact": cluster.let_go}[module.params["state"]]()
    except EtcdUnavailableError as error:
        module.fail_json(
            msg=f"etcd did not do it within {module.params['within_s']:g} s: {error}", actions=cluster.actions
        )
    except (EtcdError, FilesError) as error:
        module.fail_json(msg=str(error), actions=cluster.actions)
    return cluster.actions


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec=ARGUMENTS,
        required_if=[("state", "joined", ("name", "environment_file")), ("state", "left", ("name",))],
        supports_check_mode=True,
    )
    names = [one["name"] for one in module.params["members"]]
    if module.params["state"] != "exact" and module.params["name"] not in names:
        module.fail_json(msg=f"name is {module.params['name']}, which is none of members")
    files = {name: module.params[name] for name in ("ca_file", "cert_file", "key_file")}
    try:
        client = Client.connectable(**files)
    except HttpError as error:
        # On a new host check mode has only pretended to place the certificates. Without the others in the run it
        # cannot begin a cluster, so it joins theirs.
        if module.check_mode:
            joins = module.params["state"] == "joined" and not module.params["complete"]
            actions = [f"join {module.params['name']} to the cluster that is there"] if joins else []
            module.exit_json(changed=joins, actions=actions)
        module.fail_json(msg=str(error))
    actions = run(module, client)
    result: dict[str, Any] = {"changed": bool(actions), "actions": actions}
    if module._diff and actions:
        result["diff"] = {"before": "", "after": "".join(f"{action}\n" for action in actions)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
