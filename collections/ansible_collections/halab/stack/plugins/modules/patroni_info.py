#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the members of a Patroni cluster say."""

from __future__ import annotations

DOCUMENTATION = r"""
module: patroni_info
author: The halab authors
short_description: Look at a Patroni cluster
version_added: 0.1.0
description:
  - Asks every endpoint for its own state, and one of them, the leader where there is one, for the cluster's.
  - Returns what is so. A member that does not answer is part of that, not an error.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.tls_client
  - halab.stack.patroni_rest
options:
  names:
    description: Names under which members are shown, by the names that Patroni gives them. Others stay as they are.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    details: Never changes anything.
  diff_mode:
    support: none
    details: Never changes anything.
  idempotent:
    support: full
"""

EXAMPLES = r"""
- name: Look at the cluster
  halab.stack.patroni_info:
    endpoints: ["https://10.0.0.1:8008", "https://10.0.0.2:8008", "https://10.0.0.3:8008"]
    ca_file: "{{ halab_state_dir }}/certs/ca.crt"
    cert_file: "{{ halab_state_dir }}/certs/client.crt"
    key_file: "{{ halab_state_dir }}/certs/client.key"
  delegate_to: localhost
  run_once: true
  register: patroni_cluster
"""

RETURN = r"""
members:
  description: Members that were asked, in the order of the endpoints, then those that only etcd knows.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: Name of the member, empty when it never answered and etcd does not know it.
      type: str
    endpoint:
      description: URL of its REST API.
      type: str
    reachable:
      description: Whether it answered.
      type: bool
    error:
      description: Why it did not answer, else null.
      type: str
    role:
      description: V(leader), V(sync_standby), V(quorum_standby), V(replica), or V(unknown) when it does not answer.
      type: str
    state:
      description: State of PostgreSQL in Patroni's words, V(streaming) for a replica that does, or V(unreachable).
      type: str
    timeline:
      description: Timeline, null when unknown.
      type: int
    lag_bytes:
      description: Bytes of WAL behind the leader by etcd's knowledge, null when unknown or for the leader.
      type: int
    pending_restart:
      description: Whether PostgreSQL must be restarted for its configuration to be in force.
      type: bool
    synchronous:
      description: Whether the leader counts on it.
      type: bool
    tags:
      description: Tags of the member.
      type: dict
    postgresql_version:
      description: Version as a number, null when unknown.
      type: int
    patroni_version:
      description: Version of Patroni, null when unknown.
      type: str
leader:
  description: Name of the leader, null when no member that answers leads.
  returned: always
  type: str
synchronous_standbys:
  description: Names of the members that the leader counts on.
  returned: always
  type: list
  elements: str
paused:
  description: Whether Patroni is paused, null when no member answers.
  returned: always
  type: bool
failsafe_active:
  description: Whether a leader is kept by the other members' word because etcd does not answer.
  returned: always
  type: bool
scope:
  description: Scope of the cluster, null when no member answers.
  returned: always
  type: str
system_identifier:
  description: PostgreSQL's identifier of the cluster, null when no member answers.
  returned: always
  type: str
config:
  description: Dynamic configuration in etcd, null when no member answers.
  returned: always
  type: dict
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils.patroni_api import (
    TLS_ARGUMENTS,
    Api,
    PatroniError,
    Status,
)


def look(api: Api, endpoints: Sequence[str], names: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Return what the members at `endpoints` say; `names` are those to show, by Patroni's."""
    shown = names or {}
    statuses = api.statuses(endpoints)
    # The leader's view is the newest, then that of any member which answers.
    asked = sorted((status for status in statuses if status.reachable), key=lambda status: not status.leads)
    cluster = _first(api, asked, "/cluster") or {}
    known = {str(member["name"]): member for member in cluster.get("members", ())}
    by_endpoint = {_endpoint(member): name for name, member in known.items()}
    members = [
        _member(status, known.get(status.name or by_endpoint.get(status.endpoint, ""), {})) for status in statuses
    ]
    seen = {member["name"] for member in members}
    strangers = [Status(_endpoint(member), "not asked") for name, member in known.items() if name not in seen]
    members += [_member(status, known[by_endpoint[status.endpoint]]) for status in strangers]
    members = [{**member, "name": shown.get(member["name"], member["name"])} for member in members]
    first = asked[0].answer if asked else {}
    return {
        "members": members,
        "leader": next((shown.get(status.name, status.name) for status in statuses if status.leads), None),
        "synchronous_standbys": [member["name"] for member in members if member["synchronous"]],
        "paused": bool(cluster.get("pause")) if cluster else None,
        "failsafe_active": any(status.answer.get("failsafe_mode_is_active") for status in statuses),
        "scope": first.get("patroni", {}).get("scope"),
        "system_identifier": first.get("database_system_identifier"),
        "config": _first(api, asked, "/config"),
    }


def _first(api: Api, statuses: Sequence[Status], path: str) -> dict[str, Any] | None:
    for status in statuses:
        try:
            return dict(api.read(status.endpoint, path))
        except PatroniError:
            continue
    return None


def _endpoint(member: Mapping[str, Any]) -> str:
    return str(member.get("api_url", "")).removesuffix("/patroni")


def _member(status: Status, known: Mapping[str, Any]) -> dict[str, Any]:
    lag = known.get("lag")
    role = _role(status)
    return {
        "name": status.name or str(known.get("name", "")),
        "endpoint": status.endpoint,
        "reachable": status.reachable,
        "error": status.error or None,
        "role": role,
        "state": "streaming" if status.streams else status.state,
        "timeline": status.timeline,
        "lag_bytes": lag if isinstance(lag, int) and role != "leader" else None,
        "pending_restart": status.pending_restart,
        "synchronous": status.synchronous,
        "tags": dict(status.answer.get("tags") or known.get("tags") or {}),
        "postgresql_version": status.answer.get("server_version"),
        "patroni_version": status.answer.get("patroni", {}).get("version"),
    }


def _role(status: Status) -> str:
    if not status.reachable:
        return "unknown"
    if status.leads:
        return "leader"
    if status.synchronous:
        return "quorum_standby" if status.answer.get("quorum_standby") else "sync_standby"
    return "replica" if status.answer.get("role") == "replica" else "unknown"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "endpoints": {"type": "list", "elements": "str", "required": True},
            "names": {"type": "dict", "default": {}},
            **TLS_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    try:
        api = Api.of(module.params)
    except PatroniError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **look(api, module.params["endpoints"], module.params["names"]))


if __name__ == "__main__":
    main()
