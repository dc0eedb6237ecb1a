#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The state of an etcd cluster, seen from outside."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_info
author: The halab authors
short_description: Look at an etcd cluster
version_added: 0.1.0
description:
  - Asks every member of an etcd cluster at the same time how it is.
    A member that does not answer is part of the result, never an error.
  - Runs where the certificates are, usually on the controller, and changes nothing.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.tls_client
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
  members:
    description: Members to ask.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: Name in the result.
        type: str
        required: true
      address:
        description: Address of the member.
        type: str
        required: true
  port:
    description: Port for clients.
    type: int
    default: 2379
  tls:
    description: Whether the members speak TLS.
    type: bool
    default: true
"""

EXAMPLES = r"""
- name: Look at etcd
  halab.stack.etcd_info:
    members:
      - {name: etcd1, address: 10.0.0.1}
      - {name: etcd2, address: 10.0.0.2}
      - {name: etcd3, address: 10.0.0.3}
    ca_file: "{{ halab_state_dir }}/certs/ca.crt"
    cert_file: "{{ halab_state_dir }}/certs/client.crt"
    key_file: "{{ halab_state_dir }}/certs/client.key"
  delegate_to: localhost
  run_once: true
  register: etcd
  until: etcd.quorum
  retries: 30
  delay: 1
"""

RETURN = r"""
endpoints:
  description: State of every member that was asked, in their order.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the member, as given.
      type: str
    address:
      description: Address of the member, as given.
      type: str
    healthy:
      description: Whether the member can serve a read that a quorum agrees on.
      type: bool
    leader:
      description: Whether the member holds itself for the leader.
      type: bool
    term:
      description: Raft term of the member, 0 when it does not answer.
      type: int
    version:
      description: Version of etcd, empty when the member does not answer.
      type: str
    db_bytes:
      description: Size of the database on disk, 0 when the member does not answer.
      type: int
    alarms:
      description: Alarms that are raised.
      type: list
      elements: str
      sample: [NOSPACE]
    error:
      description: Why the member is not healthy, empty when it is.
      type: str
leader:
  description: Name of the leader in the highest term, empty when no member that was asked is it.
  returned: always
  type: str
  sample: etcd1
quorum:
  description: Whether a majority of the members that were asked is healthy and there is a leader.
  returned: always
  type: bool
members:
  description: Members of the cluster as the first member that answers knows them.
  returned: always
  type: list
  elements: dict
  sample: [{name: etcd1, id: 8e9e05c52164694d, peer_urls: ["https://10.0.0.1:2380"],
    client_urls: ["https://10.0.0.1:2379"], learner: false}]
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils.etcd import EtcdError, Member, quorum
from ansible_collections.halab.stack.plugins.module_utils.http import Client, HttpError, authority, in_parallel

ARGUMENTS = {
    "members": {
        "type": "list",
        "elements": "dict",
        "required": True,
        "options": {"name": {"type": "str", "required": True}, "address": {"type": "str", "required": True}},
    },
    "port": {"type": "int", "default": 2379},
    "tls": {"type": "bool", "default": True},
    "ca_file": {"type": "path", "required": True},
    "cert_file": {"type": "path", "required": True},
    "key_file": {"type": "path", "required": True, "no_log": False},
    "deadline_s": {"type": "float", "default": 3.0},
}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """How one member is."""

    name: str
    address: str
    healthy: bool
    leader: bool
    term: int
    version: str
    db_bytes: int
    alarms: tuple[str, ...]
    error: str


def look(member: Member, *, name: str, address: str) -> Endpoint:
    """Return how `member` is. A member that does not answer has an error instead of figures."""
    try:
        status = member.call("/v3/maintenance/status")
    except EtcdError as error:
        status, why = {}, str(error)
    else:
        why = member.why_unhealthy()
    header: Mapping[str, Any] = status.get("header", {})
    said = " ".join(status.get("errors", []))
    return Endpoint(
        name=name,
        address=address,
        healthy=not why,
        leader=bool(status.get("leader")) and status.get("leader") == header.get("member_id"),
        term=int(status.get("raftTerm", 0)),
        version=str(status.get("version", "")),
        db_bytes=int(status.get("dbSize", 0)),
        alarms=tuple(sorted(set(re.findall(r"alarm:(\w+)", said)))),
        error=why,
    )


def known_members(members: Sequence[Member]) -> list[dict[str, Any]]:
    """Return the members as the first one that answers knows them."""
    for member in members:
        try:
            answer = member.call("/v3/cluster/member/list")
        except EtcdError:
            continue
        return [
            {
                "name": one.get("name", ""),
                "id": f"{int(one['ID']):016x}",
                "peer_urls": one.get("peerURLs", []),
                "client_urls": one.get("clientURLs", []),
                "learner": bool(one.get("isLearner", False)),
            }
            for one in answer.get("members", [])
        ]
    return []


def observe(client: Client, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the result of the module."""
    asked = [(one["name"], one["address"]) for one in params["members"]]
    scheme = "https" if params["tls"] else "http"
    members = {
        address: Member(client, f"{scheme}://{authority(address, params['port'])}", params["deadline_s"])
        for _, address in asked
    }
    endpoints = in_parallel(lambda one: look(members[one[1]], name=one[0], address=one[1]), asked)
    answering = [members[endpoint.address] for endpoint in endpoints if endpoint.version]
    leader = max((one for one in endpoints if one.leader), key=lambda one: one.term, default=None)
    healthy = sum(endpoint.healthy for endpoint in endpoints)
    return {
        "endpoints": [asdict(endpoint) for endpoint in endpoints],
        "leader": leader.name if leader else "",
        "quorum": leader is not None and healthy >= quorum(len(endpoints)),
        "members": known_members(answering),
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec=ARGUMENTS, supports_check_mode=True)
    params = module.params
    try:
        client = Client.connectable(
            ca_file=params["ca_file"], cert_file=params["cert_file"], key_file=params["key_file"]
        )
    except HttpError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**observe(client, params))


if __name__ == "__main__":
    main()
