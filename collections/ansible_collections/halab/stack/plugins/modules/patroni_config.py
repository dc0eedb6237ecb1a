#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""The dynamic configuration of a Patroni cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: patroni_config
author: The halab authors
short_description: Keep the dynamic configuration of a Patroni cluster
version_added: 0.1.0
description:
  - Compares the declared configuration with the one in etcd and patches the difference, through the leader.
  - Keys that are not declared stay as they are, except below O(owned), where they are removed.
  - Waits until every member that answers has taken in what changed below C(postgresql),
    and tells which of them must be restarted for it.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.tls_client
  - halab.stack.patroni_rest
  - halab.stack.patroni_rest.login
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  config:
    description: Configuration in the form of Patroni's C(/config). A null removes a key.
    type: dict
    required: true
  owned:
    description: Dotted paths of mappings that hold nothing but what is declared.
    type: list
    elements: str
    default: [postgresql.parameters]
  standbys:
    description:
      - Synchronous or quorum standbys that the leader counts on when O(config) is in force and all members stream.
        They are waited for after a change of the synchronous mode.
    type: int
    default: 0
  formed:
    description: Whether the cluster was formed just now. Then O(standbys) are waited for before anything is compared.
    type: bool
    default: false
  within_s:
    description: Seconds to wait for the standbys, and after a change for the members.
    type: float
    default: 60.0
"""

EXAMPLES = r"""
- name: Allow more connections
  halab.stack.patroni_config:
    endpoints: ["https://10.0.0.1:8008", "https://10.0.0.2:8008", "https://10.0.0.3:8008"]
    ca_file: /etc/patroni/tls/ca.crt
    cert_file: /etc/patroni/tls/node.crt
    key_file: /etc/patroni/tls/node.key
    password: "{{ patroni_rest_password }}"
    config:
      postgresql:
        parameters:
          max_connections: 200
"""

RETURN = r"""
patch:
  description: What was changed, or would be in check mode; empty when the configuration was as declared.
  returned: always
  type: dict
  sample: {postgresql: {parameters: {max_connections: 200}}}
pending_restart:
  description: Names of the members that answer and must be restarted for their configuration to be in force.
  returned: always
  type: list
  elements: str
"""

import json
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils.patroni_api import (
    LOGIN_ARGUMENTS,
    TLS_ARGUMENTS,
    Api,
    PatroniError,
    await_none,
    difference,
    leader_of,
)


def converge(api: Api, parameters: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Make the configuration as declared and return the module's result. Raises PatroniError."""
    endpoints, within_s = parameters["endpoints"], parameters["within_s"]
    if parameters["formed"]:
        _await_standbys(api, endpoints, parameters["standbys"], within_s=within_s)
    leader = leader_of(api.statuses(endpoints)).endpoint
    live = dict(api.read(leader, "/config"))
    patch = difference(live, parameters["config"], owned=parameters["owned"])
    if patch and not check_mode:
        api.send("PATCH", leader, "/config", patch)
        _await_kept(api, leader, parameters)
        # Nothing but PostgreSQL's own settings can need a restart.
        if "postgresql" in patch:
            _await_members(api, endpoints, within_s=within_s)
        if "synchronous_mode" in patch:
            _await_mode(api, leader, parameters["standbys"], within_s=within_s)
    statuses = api.statuses(endpoints)
    return {
        "changed": bool(patch),
        "patch": patch,
        "pending_restart": [status.name for status in statuses if status.pending_restart],
        "diff": {"before": _shown(_kept(live, patch)), "after": _shown(patch)},
    }


def _await_standbys(api: Api, endpoints: list[str], wanted: int, *, within_s: float) -> None:
    def missing() -> str:
        statuses = api.statuses(endpoints)
        found = sum(status.synchronous for status in statuses)
        return "" if found >= wanted else "; ".join(status.in_words() for status in statuses)

    await_none(missing, within_s=within_s, what=f"{wanted} synchronous standby(s)")


def _await_mode(api: Api, leader: str, wanted: int, *, within_s: float) -> None:
    """Wait until the leader counts on as many standbys as the mode asks for; a member that is down is none of them."""

    def missing() -> str:
        api.wake(leader)
        members = api.read(leader, "/cluster").get("members", ())
        counted = sum(member.get("role") in ("sync_standby", "quorum_standby") for member in members)
        able = sum(member.get("state") == "streaming" for member in members)
        return "" if counted == min(wanted, able) else f"it counts on {counted}, {able} stream"

    await_none(missing, within_s=within_s, what=f"the leader to count on {wanted} standby(s)")


def _await_kept(api: Api, leader: str, parameters: Mapping[str, Any]) -> None:
    """Patroni drops some values without a word, so what it kept is read back.

    GET /config answers from the member's copy of etcd, which follows a little later, and a whole loop later when its
    watch was cut by a restart of an etcd member.
    """

    def missing() -> str:
        left = difference(dict(api.read(leader, "/config")), parameters["config"], owned=parameters["owned"])
        return f"still different: {left}" if left else ""

    await_none(missing, within_s=parameters["within_s"], what="Patroni to keep the declared configuration")


def _await_members(api: Api, endpoints: list[str], *, within_s: float) -> None:
    answering = [status.endpoint for status in api.statuses(endpoints) if status.reachable]
    # A member takes a change in at the end of a loop, so only the loop after it proves that it has.
    for _ in range(2):
        api.await_loop(answering, within_s=within_s)


def _kept(live: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `live` holds of the keys that `patch` changes."""
    kept = {}
    for key, value in patch.items():
        if key in live:
            nested = isinstance(value, Mapping) and isinstance(live[key], Mapping)
            kept[key] = _kept(live[key], value) if nested else live[key]
    return kept


def _shown(config: Mapping[str, Any]) -> str:
    return json.dumps(config, indent=2, sort_keys=True) + "\n"


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "endpoints": {"type": "list", "elements": "str", "required": True},
            "config": {"type": "dict", "required": True},
            "owned": {"type": "list", "elements": "str", "default": ["postgresql.parameters"]},
            "standbys": {"type": "int", "default": 0},
            "formed": {"type": "bool", "default": False},
            "within_s": {"type": "float", "default": 60.0},
            **LOGIN_ARGUMENTS,
            **TLS_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    try:
        result = converge(Api.of(module.params), module.params, check_mode=module.check_mode)
    except PatroniError as error:
        module.fail_json(msg=str(error))
    if not module._diff:
        result.pop("diff")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
