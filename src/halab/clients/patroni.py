"""What Patroni says about a member, over its REST interface."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

from halab.clients.http import HttpError, JsonEndpoint
from halab.inventory import PatroniMember


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """GET /patroni. `lsn` is what is written on a primary, what is replayed on a replica, in PostgreSQL's notation."""

    role: str
    state: str
    timeline: int | None
    lsn: str | None
    sync_standby: bool
    dcs_last_seen: int | None


class PatroniEndpoint:
    """Patroni of one member."""

    def __init__(self, member: PatroniMember, context: ssl.SSLContext) -> None:
        self._http = JsonEndpoint(member.host.address, member.rest_port, context if member.rest_tls else None)

    def status(self, *, within_s: float) -> MemberStatus:
        """Raises HttpError, also for an answer that is no member's status."""
        status, document = self._http.call("GET", "/patroni", within_s=within_s)
        if not isinstance(document, dict) or "role" not in document:
            raise HttpError(f"{self._http.url}/patroni: status {status} without a role")
        return _status(document)

    def cluster(self, *, within_s: float) -> dict[str, Any]:
        """GET /cluster: members with role, state, timeline and lag as this member sees them. Raises HttpError."""
        status, document = self._http.call("GET", "/cluster", within_s=within_s)
        if not isinstance(document, dict) or "members" not in document:
            raise HttpError(f"{self._http.url}/cluster: status {status} without members")
        return document

    def configuration(self, *, within_s: float) -> dict[str, Any]:
        """GET /config: the dynamic configuration of the cluster. Raises HttpError."""
        status, document = self._http.call("GET", "/config", within_s=within_s)
        if not isinstance(document, dict) or "ttl" not in document:
            raise HttpError(f"https://{self._http.name}/config: status {status} without ttl")
        return document

    def close(self) -> None:
        self._http.close()


def _status(document: dict[str, Any]) -> MemberStatus:
    xlog = document.get("xlog") or {}
    position = xlog.get("location", xlog.get("replayed_location"))
    # Patroni before version 4 said master.
    role = "primary" if document["role"] == "master" else str(document["role"])
    return MemberStatus(
        role=role,
        state=str(document.get("replication_state") or document.get("state") or "unknown"),
        timeline=document.get("timeline"),
        lsn=None if position is None else lsn_text(position),
        sync_standby=bool(document.get("sync_standby") or document.get("quorum_standby")),
        dcs_last_seen=document.get("dcs_last_seen"),
    )


def lsn_text(position: int) -> str:
    """A WAL position in PostgreSQL's notation: 50331648 is 0/3000000."""
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def lsn_number(text: str) -> int:
    """The inverse of `lsn_text`. Raises ValueError for anything else."""
    high, _, low = text.partition("/")
    return (int(high, 16) << 32) + int(low, 16)
