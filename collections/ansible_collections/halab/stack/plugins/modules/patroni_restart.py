#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Rolling restart of the members of a Patroni cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: patroni_restart
author: The halab authors
short_description: Restart PostgreSQL member by member where the configuration needs it
version_added: 0.1.0
description:
  - Restarts PostgreSQL on every member that has a restart pending, one at a time, replicas first and the leader last.
    Before the next one is touched, every replica must stream and as many must be synchronous as before.
  - When a setting shrinks that a standby may not have smaller than its primary (such as C(max_connections)),
    the leader comes first, because a standby keeps the larger value until then.
  - Refuses to begin unless one member leads and all others stream.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.tls_client
  - halab.stack.patroni_rest
  - halab.stack.patroni_rest.login
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: The order of restarts is returned instead.
  idempotent:
    support: full
options:
  within_s:
    description: Seconds that one member may take to serve again.
    type: float
    default: 120.0
"""

EXAMPLES = r"""
- name: Put pending settings in force
  halab.stack.patroni_restart:
    endpoints: ["https://10.0.0.1:8008", "https://10.0.0.2:8008", "https://10.0.0.3:8008"]
    ca_file: /etc/patroni/tls/ca.crt
    cert_file: /etc/patroni/tls/node.crt
    key_file: /etc/patroni/tls/node.key
    password: "{{ patroni_rest_password }}"
"""

RETURN = r"""
restarted:
  description: Names of the members in the order in which they were restarted, or would be in check mode.
  returned: always
  type: list
  elements: str
duration_s:
  description: Seconds that all restarts took.
  returned: always
  type: float
"""

import re
import time
from collections.abc import Iterator, Sequence
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils.patroni_api import (
    LOGIN_ARGUMENTS,
    TLS_ARGUMENTS,
    Api,
    PatroniError,
    Status,
    await_none,
    leader_of,
)

# A standby refuses to run with less of these than its primary had (PostgreSQL, hot standby).
_NOT_BELOW_PRIMARY = (
    "max_connections",
    "max_locks_per_transaction",
    "max_prepared_transactions",
    "max_wal_senders",
    "max_worker_processes",
)
# After the leader has shrunk, its standbys learn of it from the WAL and are restarted in the second round.
_ROUNDS = 2


def shrinks(status: Status) -> bool:
    """Return whether the pending restart makes a setting smaller that a standby may not have below its primary's."""
    reasons = status.answer.get("pending_restart_reason") or {}
    for name in _NOT_BELOW_PRIMARY:
        reason = reasons.get(name) or {}
        old, new = (re.match(r"\d+", str(reason.get(key, ""))) for key in ("old_value", "new_value"))
        if old and new and int(new[0]) < int(old[0]):
            return True
    return False


def ordered(statuses: Sequence[Status]) -> list[Status]:
    """Return the members with a pending restart in the order in which they may be restarted."""
    pending = [status for status in statuses if status.pending_restart]
    leader_first = any(shrinks(status) for status in pending if status.leads)
    return sorted(pending, key=lambda status: status.leads != leader_first)


def refuse_unhealthy(statuses: Sequence[Status]) -> None:
    """Raise PatroniError, naming the members, unless one leads and all others stream."""
    leader_of(statuses)
    down = [status.in_words() for status in statuses if not (status.leads or status.streams)]
    if down:
        raise PatroniError(f"nothing is restarted while a member is not well: {'; '.join(down)}; mend it first")


def roll(api: Api, endpoints: Sequence[str], *, within_s: float) -> Iterator[str]:
    """Restart what is pending and yield the name of each member that was restarted. Raises PatroniError."""
    for _ in range(_ROUNDS):
        statuses = api.statuses(endpoints)
        members = ordered(statuses)
        if not members:
            return
        refuse_unhealthy(statuses)
        synchronous = sum(status.synchronous for status in statuses)
        for member in members:
            # A failover, or a restart by someone else, may have come in between.
            if api.status(member.endpoint).pending_restart:
                api.send("POST", member.endpoint, "/restart", {"restart_pending": True}, deadline_s=within_s)
                yield member.name
                await_all(api, endpoints, synchronous, within_s=within_s)
        api.await_loop(endpoints, within_s=within_s)


def await_all(api: Api, endpoints: Sequence[str], synchronous: int, *, within_s: float) -> None:
    """Wait until one member leads, all others stream, and as many are synchronous. Raises PatroniError."""

    def missing() -> str:
        statuses = api.statuses(endpoints)
        try:
            refuse_unhealthy(statuses)
        except PatroniError as error:
            return str(error)
        found = sum(status.synchronous for status in statuses)
        if found >= synchronous:
            return ""
        # The leader takes standbys in only when its loop runs.
        api.wake(leader_of(statuses).endpoint)
        return f"{found} of {synchronous} synchronous standbys"

    await_none(missing, within_s=within_s, what="all members to be as they were before the restart")


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "endpoints": {"type": "list", "elements": "str", "required": True},
            "within_s": {"type": "float", "default": 120.0},
            **LOGIN_ARGUMENTS,
            **TLS_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    began = time.monotonic()
    restarted: list[str] = []
    result: dict[str, Any] = {"restarted": restarted}
    try:
        api = Api.of(module.params)
        if module.check_mode:
            restarted += [status.name for status in ordered(api.statuses(module.params["endpoints"]))]
        else:
            restarted += roll(api, module.params["endpoints"], within_s=module.params["within_s"])
    except PatroniError as error:
        module.fail_json(msg=str(error), **result)
    module.exit_json(changed=bool(restarted), duration_s=round(time.monotonic() - began, 3), **result)


if __name__ == "__main__":
    main()
