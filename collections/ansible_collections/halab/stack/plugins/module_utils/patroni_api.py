# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Patroni's REST API: what members say of themselves, and how to wait for what they do."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ansible_collections.halab.stack.plugins.module_utils.http import Client, HttpError, in_parallel

Result = TypeVar("Result")

TLS_ARGUMENTS: dict[str, dict[str, Any]] = {
    "ca_file": {"type": "path", "required": True},
    "cert_file": {"type": "path", "required": True},
    "key_file": {"type": "path", "required": True},
    "deadline_s": {"type": "float", "default": 3.0},
}
LOGIN_ARGUMENTS: dict[str, dict[str, Any]] = {
    "username": {"type": "str", "default": "patroni"},
    "password": {"type": "str", "required": True, "no_log": True},
}
# Patroni changes nothing for a key that is neither known nor there, but runs its loop at once after any patch.
_WAKE: dict[str, Any] = {"halab_wake": None}
_PAUSE_S = 0.2


class PatroniError(Exception):
    """Patroni refused, or did not answer in time. The message holds no secret."""


class PatroniSilentError(PatroniError):
    """There was no answer. A member that reloads its files opens its REST API anew and cuts who is in line for it."""


@dataclass(frozen=True, slots=True)
class Status:
    """What a member says of itself on its own endpoint, or why it says nothing (`error`)."""

    endpoint: str
    error: str = ""
    answer: Mapping[str, Any] = field(default_factory=dict)

    @property
    def reachable(self) -> bool:
        return not self.error

    @property
    def name(self) -> str:
        """Name of the member, empty when it does not answer."""
        return str(self.answer.get("patroni", {}).get("name", ""))

    @property
    def state(self) -> str:
        """State of PostgreSQL in Patroni's words, C(unreachable) when the member does not answer."""
        return str(self.answer.get("state", "unknown")) if self.reachable else "unreachable"

    @property
    def leads(self) -> bool:
        """Whether it runs as the primary of a cluster that has a leader."""
        primary = self.answer.get("role") in ("primary", "master", "standby_leader")
        return primary and self.state == "running" and not self.answer.get("cluster_unlocked")

    @property
    def streams(self) -> bool:
        """Whether it runs as a replica that receives WAL."""
        return (
            self.answer.get("role") == "replica"
            and self.state == "running"
            and self.answer.get("replication_state") == "streaming"
        )

    @property
    def synchronous(self) -> bool:
        """Whether the leader counts on it: a synchronous or quorum standby."""
        return bool(self.answer.get("sync_standby") or self.answer.get("quorum_standby"))

    @property
    def pending_restart(self) -> bool:
        return bool(self.answer.get("pending_restart"))

    @property
    def last_loop(self) -> int:
        """Second of the member's clock in which its loop last read etcd."""
        return int(self.answer.get("dcs_last_seen", 0))

    @property
    def timeline(self) -> int | None:
        value = self.answer.get("timeline")
        return None if value is None else int(value)

    def in_words(self) -> str:
        """Return the state for an error message."""
        if self.error:
            return self.error
        parts = [f"{key} {self.answer[key]}" for key in ("role", "state", "replication_state") if key in self.answer]
        return f"{self.name or self.endpoint}: " + ", ".join(
            parts + ["no leader"] * ("cluster_unlocked" in self.answer)
        )


@dataclass(frozen=True, slots=True)
class Api:
    """Speaks with members by their endpoints, the URLs of their REST API."""

    client: Client
    deadline_s: float

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Api:
        """Return the API for a module's parameters. Raises PatroniError when the certificates are unusable."""
        try:
            client = Client.connectable(
                ca_file=parameters["ca_file"],
                cert_file=parameters["cert_file"],
                key_file=parameters["key_file"],
                username=parameters.get("username") if parameters.get("password") else None,
                password=parameters.get("password"),
            )
        except HttpError as error:
            raise PatroniError(str(error)) from error
        return cls(client, parameters["deadline_s"])

    def status(self, endpoint: str) -> Status:
        """Return what a member says of itself; never raises."""
        try:
            answer = self.client.request(f"{endpoint}/patroni", deadline_s=self.deadline_s).json()
        except HttpError as error:
            return Status(endpoint, error=str(error))
        if not isinstance(answer, dict):
            return Status(endpoint, error=f"{endpoint}/patroni: the answer is not an object")
        return Status(endpoint, answer=answer)

    def certificate(self, endpoint: str) -> bytes:
        """Return the certificate that a member shows (DER). Raises PatroniSilentError."""
        try:
            return self.client.certificate(f"{endpoint}/liveness", deadline_s=self.deadline_s)
        except HttpError as error:
            raise PatroniSilentError(str(error)) from error

    def statuses(self, endpoints: Sequence[str]) -> list[Status]:
        """Return what the members say, asked at the same time, in the order of the endpoints."""
        return in_parallel(self.status, list(endpoints))

    def read(self, endpoint: str, path: str) -> Any:
        """Return the JSON of a path. Raises PatroniError."""
        try:
            response = self.client.request(endpoint + path, deadline_s=self.deadline_s)
            if response.status == 200:
                return response.json()
        except HttpError as error:
            raise PatroniError(str(error)) from error
        raise PatroniError(f"GET {endpoint}{path}: status {response.status}: {response.text()[:200]}")

    def send(
        self, method: str, endpoint: str, path: str, body: Mapping[str, Any], *, deadline_s: float | None = None
    ) -> str:
        """Send a change and return the answer's text.

        Raises PatroniError when it is refused, PatroniSilentError when nothing is answered.
        """
        try:
            response = self.client.request(
                endpoint + path, deadline_s=deadline_s or self.deadline_s, method=method, body=body
            )
        except HttpError as error:
            raise PatroniSilentError(str(error)) from error
        if response.status in (200, 202):
            return response.text()
        hint = "; check the user and password of the REST API" if response.status == 401 else ""
        raise PatroniError(f"{method} {endpoint}{path}: status {response.status}: {response.text()[:200]}{hint}")

    def wake(self, endpoint: str) -> None:
        """Make a member run its loop now. Raises PatroniError."""
        self.send("PATCH", endpoint, "/config", _WAKE)

    def await_loop(self, endpoints: Sequence[str], *, within_s: float) -> None:
        """Wait until every member has begun a new loop; each is woken. Raises PatroniError when time is up."""
        before = {status.endpoint: status.last_loop for status in self.statuses(endpoints) if status.reachable}

        def begun(status: Status) -> bool:
            # For one that was silent at first, the loop that it tells of first is the one before.
            return status.reachable and status.last_loop > before.setdefault(status.endpoint, status.last_loop)

        def late() -> str:
            for endpoint in endpoints:
                with contextlib.suppress(PatroniSilentError):
                    self.wake(endpoint)
            return ", ".join(
                status.error or status.endpoint for status in self.statuses(endpoints) if not begun(status)
            )

        await_none(late, within_s=within_s, what="a new loop of every member")


def await_none(missing: Callable[[], str], *, within_s: float, what: str) -> None:
    """Wait until `missing()` returns no text any more; the last one tells what was still missing.

    Raises PatroniError after `within_s` seconds.
    """
    until = time.monotonic() + within_s
    while last := missing():
        if time.monotonic() + _PAUSE_S > until:
            raise PatroniError(f"waited {within_s:g} s for {what}; last seen: {last}")
        time.sleep(_PAUSE_S)


def leader_of(statuses: Sequence[Status]) -> Status:
    """Return the status of the leader. Raises PatroniError, telling what each member says, when there is none."""
    for status in statuses:
        if status.leads:
            return status
    raise PatroniError("no member leads: " + "; ".join(status.in_words() for status in statuses))


def difference(
    live: Mapping[str, Any], declared: Mapping[str, Any], *, owned: Sequence[str] = (), path: str = ""
) -> dict[str, Any]:
    """Return the patch that makes `live` hold `declared`, in the form of Patroni's C(PATCH /config).

    Keys that are not declared stay, except below the dotted paths in `owned`, where None removes them. Scalars are
    equal when their texts are, which is how Patroni compares them.
    """
    patch: dict[str, Any] = {}
    if path in owned:
        patch.update(dict.fromkeys(set(live) - set(declared)))
    for key, value in declared.items():
        now = live.get(key)
        below = f"{path}.{key}".lstrip(".")
        if isinstance(value, Mapping):
            inner = difference(now if isinstance(now, Mapping) else {}, value, owned=owned, path=below)
            if inner or not isinstance(now, Mapping):
                patch[key] = inner
        elif value is None:
            patch.update({key: None} if key in live else {})
        elif key not in live or str(now) != str(value):
            patch[key] = value
    return patch
