#!/usr/bin/python
# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Planned change of the leader of a Patroni cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: patroni_switchover
author: The halab authors
short_description: Hand the leadership of a Patroni cluster to another member
version_added: 0.1.0
description:
  - Checks that the candidate streams and, where replication is synchronous, that the leader counts on it.
  - Hands over, then waits until the candidate leads and the former leader streams from it.
  - Changes nothing when the candidate leads already.
extends_documentation_fragment:
  - halab.stack.attributes
  - halab.stack.tls_client
  - halab.stack.patroni_rest
  - halab.stack.patroni_rest.login
attributes:
  check_mode:
    support: full
    details: Makes the same checks.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details: Without a O(candidate), leadership moves each time.
options:
  candidate:
    description: Name of the member that shall lead. By default the first one in the order of O(endpoints) that can.
    type: str
  within_s:
    description: Seconds that the whole change may take.
    type: float
    default: 60.0
"""

EXAMPLES = r"""
- name: Let pg2 lead
  halab.stack.patroni_switchover:
    endpoints: ["https://10.0.0.1:8008", "https://10.0.0.2:8008", "https://10.0.0.3:8008"]
    ca_file: "{{ halab_state_dir }}/certs/ca.crt"
    cert_file: "{{ halab_state_dir }}/certs/client.crt"
    key_file: "{{ halab_state_dir }}/certs/client.key"
    password: "{{ patroni_rest_password }}"
    candidate: pg2
  delegate_to: localhost
  run_once: true
"""

RETURN = r"""
leader:
  description: Name of the member that leads now, or would in check mode.
  returned: success
  type: str
former_leader:
  description: Name of the member that led before.
  returned: success
  type: str
timeline:
  description: Timeline after the change, null in check mode.
  returned: success
  type: int
demoted_s:
  description: Seconds from the request until the former leader no longer led, null when nothing was done.
  returned: success
  type: float
promoted_s:
  description: Seconds from the request until the candidate led, null when nothing was done.
  returned: success
  type: float
rejoined_s:
  description: Seconds from the request until the former leader streamed again, null when nothing was done.
  returned: success
  type: float
"""

import time
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.halab.stack.plugins.module_utils.patroni_api import (
    LOGIN_ARGUMENTS,
    TLS_ARGUMENTS,
    Api,
    PatroniError,
    Status,
    leader_of,
)

_PAUSE_S = 0.1


def choose(
    statuses: Sequence[Status], config: Mapping[str, Any], wanted: str | None, *, counted: Collection[str]
) -> Status:
    """Return the member that shall lead. Raises PatroniError, telling why, when it cannot.

    `counted`: members on which the leader counts as synchronous standbys. What a member says of itself is no proof of
    that: it remembers its last loop, in which the leader may have been another.
    """
    synchronous = str(config.get("synchronous_mode", "off")).lower() not in ("off", "false", "none")
    able = [status for status in statuses if status.streams and (status.name in counted or not synchronous)]
    need = "a synchronous standby" if synchronous else "streaming"
    for status in able:
        if wanted in (None, status.name):
            return status
    said = "; ".join(status.in_words() for status in statuses if wanted in (None, status.name))
    if wanted and not said:
        raise PatroniError(f"candidate = {wanted}: no member of this name answers; see the endpoints")
    raise NotYet(f"candidate = {wanted or 'any'}: it must be {need} to lead without loss; now: {said}")


class NotYet(PatroniError):  # noqa: N818 (a state of the cluster, not a fault of the program)
    """No member can lead without loss at this moment."""


def counted_on(api: Api, leader: Status) -> set[str]:
    """Names of the members on which the leader counts, as etcd has it now. Raises PatroniError."""
    members = api.read(leader.endpoint, "/cluster").get("members", ())
    return {str(member.get("name")) for member in members if member.get("role") in ("sync_standby", "quorum_standby")}


def found(api: Api, leader: Status, parameters: Mapping[str, Any], config: Mapping[str, Any]) -> Status:
    """The member that shall lead, as soon as there is one. Raises PatroniError, telling why, when there is none.

    The leader names synchronous standbys once in a loop, so after a crash or a switchover they may be missing for two.
    """
    deadline = time.monotonic() + min(parameters["within_s"], 2 * float(config.get("loop_wait", 10)) + 2)
    while True:
        try:
            counted = counted_on(api, leader)
            return choose(api.statuses(parameters["endpoints"]), config, parameters["candidate"], counted=counted)
        except NotYet:
            if time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_S)


class Handover:
    """One switchover as it is seen from outside, in seconds from the request."""

    def __init__(self, api: Api, leader: Status, candidate: Status) -> None:
        self.api = api
        self.leader = leader
        self.candidate = candidate
        self.began = time.monotonic()
        self.seen: dict[str, float] = {}
        self.timeline: int | None = None

    def run(self, *, within_s: float) -> None:
        """Hand over and wait for the outcome. Raises PatroniError."""
        body = {"leader": self.leader.name, "candidate": self.candidate.name}
        with ThreadPoolExecutor(max_workers=1) as pool:
            asked = pool.submit(self.api.send, "POST", self.leader.endpoint, "/switchover", body, deadline_s=within_s)
            while not self._done():
                if asked.done() and (refused := _refusal(asked)) and "demoted_s" not in self.seen:
                    raise PatroniError(refused)
                if time.monotonic() - self.began > within_s:
                    raise PatroniError(self._late(within_s))
                time.sleep(_PAUSE_S)

    def _done(self) -> bool:
        old, new = self.api.statuses([self.leader.endpoint, self.candidate.endpoint])
        now = round(time.monotonic() - self.began, 3)
        # An endpoint that does not answer proves nothing about leadership.
        if old.reachable and not old.leads:
            self.seen.setdefault("demoted_s", now)
        if new.leads:
            self.seen.setdefault("promoted_s", now)
            self.timeline = new.timeline
            if old.streams and old.timeline == new.timeline:
                self.seen.setdefault("rejoined_s", now)
        return "rejoined_s" in self.seen

    def _late(self, within_s: float) -> str:
        statuses = self.api.statuses([self.leader.endpoint, self.candidate.endpoint])
        said = "; ".join(status.in_words() for status in statuses)
        return f"waited {within_s:g} s for {self.candidate.name} to lead and {self.leader.name} to stream: {said}"


def _refusal(asked: Future[str]) -> str:
    error = asked.exception()
    return str(error) if error else ""


def switch(parameters: Mapping[str, Any], *, check_mode: bool) -> dict[str, Any]:
    """Hand the leadership over and return the module's result. Raises PatroniError."""
    api = Api.of(parameters)
    statuses = api.statuses(parameters["endpoints"])
    leader = leader_of(statuses)
    seen: dict[str, float | None] = {"demoted_s": None, "promoted_s": None, "rejoined_s": None}
    if parameters["candidate"] == leader.name:
        return {"changed": False, **_outcome(leader, leader), "timeline": leader.timeline, **seen}
    config = api.read(leader.endpoint, "/config")
    if check_mode:
        candidate = choose(statuses, config, parameters["candidate"], counted=counted_on(api, leader))
        return {"changed": True, **_outcome(leader, candidate), "timeline": None, **seen}
    candidate = found(api, leader, parameters, config)
    handover = Handover(api, leader, candidate)
    handover.run(within_s=parameters["within_s"])
    return {"changed": True, **_outcome(leader, candidate), "timeline": handover.timeline, **seen, **handover.seen}


def _outcome(leader: Status, candidate: Status) -> dict[str, Any]:
    diff = {"before": f"leader {leader.name}\n", "after": f"leader {candidate.name}\n"}
    return {"leader": candidate.name, "former_leader": leader.name, "diff": diff}


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "endpoints": {"type": "list", "elements": "str", "required": True},
            "candidate": {"type": "str"},
            "within_s": {"type": "float", "default": 60.0},
            **LOGIN_ARGUMENTS,
            **TLS_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    try:
        result = switch(module.params, check_mode=module.check_mode)
    except PatroniError as error:
        module.fail_json(msg=str(error))
    if not module._diff:
        result.pop("diff")
    module.exit_json(**result)


if __name__ == "__main__":
    main()
