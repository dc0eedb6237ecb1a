# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""etcd's JSON gateway: one member, one call."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from ansible_collections.halab.stack.plugins.module_utils.http import Client, HttpError

Result = TypeVar("Result")

# Codes of gRPC that tell of a cluster that cannot answer now: cancelled, deadline exceeded, aborted, unavailable.
_PASSING = frozenset({1, 4, 10, 14})

NOT_ENABLED = "authentication is not enabled"
REFUSED = "invalid user ID or password"


class EtcdError(Exception):
    """etcd refused a call. The message is etcd's own."""


class EtcdUnavailableError(EtcdError):
    """A member cannot answer now; another one, or the same one later, may."""


@dataclass(frozen=True, slots=True)
class Member:
    """A member of a cluster as a client sees it; `token` is what it got for a user's password."""

    client: Client
    url: str
    deadline_s: float
    token: str | None = None

    def call(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer to a call of the JSON gateway (the API's version 3). Raises EtcdError."""
        headers = {"Authorization": self.token} if self.token else {}
        try:
            response = self.client.request(
                self.url + path, deadline_s=self.deadline_s, method="POST", body=body or {}, headers=headers
            )
        except HttpError as error:
            raise EtcdUnavailableError(str(error)) from error
        try:
            answer = response.json()
        except HttpError:
            answer = {"error": response.text().strip()}
        if response.status == 200:
            return dict(answer)
        message = str(answer.get("message") or answer.get("error") or f"status {response.status}")
        passing = answer.get("code") in _PASSING or response.status >= 503
        raise (EtcdUnavailableError if passing else EtcdError)(f"{self.url}{path}: {message}")

    def login(self, user: str, password: str) -> Member:
        """Return this member as `user` sees it. Raises EtcdError."""
        return replace(self, token=self.call("/v3/auth/authenticate", {"name": user, "password": password})["token"])

    def as_root(self, password: str) -> Member | None:
        """Return this member as user root sees it, None when authentication is not on. Raises EtcdError."""
        try:
            return self.login("root", password)
        except EtcdUnavailableError:
            raise
        except EtcdError as error:
            if NOT_ENABLED in str(error):
                return None
            if REFUSED in str(error):
                raise EtcdError(
                    "etcd_root_password is not the password of etcd's user root; set the one it has"
                ) from error
            raise

    def why_unhealthy(self) -> str:
        """Return why the member cannot serve a read that the whole cluster agrees on, empty when it can."""
        try:
            response = self.client.request(f"{self.url}/health", deadline_s=self.deadline_s)
            answer = response.json()
        except HttpError as error:
            return str(error)
        if str(answer.get("health")).lower() == "true":
            return ""
        return f"{self.url}/health: {answer.get('reason') or f'status {response.status}'}"


def eventually(attempt: Callable[[], Result], *, within_s: float, pause_s: float = 0.2) -> Result:
    """Return what `attempt` returns, trying again while it raises EtcdUnavailableError, for `within_s` seconds.

    Raises the last EtcdUnavailableError when time is up.
    """
    until = time.monotonic() + within_s
    while True:
        try:
            return attempt()
        except EtcdUnavailableError:
            if time.monotonic() + pause_s > until:
                raise
        time.sleep(pause_s)


def listens(url: str, *, within_s: float) -> bool:
    """Tell whether a process takes connections at `url`. One that has not joined its cluster yet does so, silently."""
    target = urlsplit(url)
    try:
        with socket.create_connection((str(target.hostname), int(target.port or 0)), timeout=within_s):
            return True
    except OSError:
        return False


def quorum(members: int) -> int:
    """Return how many of `members` must agree."""
    return members // 2 + 1
