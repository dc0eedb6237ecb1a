"""etcd through the JSON gateway of one named member.

Whether a read may be answered from the member's own copy (serializable) is always said by the caller: the default of
etcd needs a quorum and hangs without one.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from halab.clients.http import HttpError, JsonEndpoint
from halab.inventory import EtcdCluster, EtcdMember
from halab.waiting import Deadline

ROOT = "root"
_OK = 200
_UNAUTHORIZED = (400, 401, 403)


@dataclass(frozen=True, slots=True)
class EtcdStatus:
    """One member's view. Ids are etcd's, as decimal text; `leader_id` is None while it knows of no leader."""

    member_id: str
    leader_id: str | None
    term: int
    revision: int
    raft_index: int
    version: str
    errors: tuple[str, ...]

    @property
    def is_leader(self) -> bool:
        return self.leader_id == self.member_id


@dataclass(frozen=True, slots=True)
class KeyValue:
    """A key with the revision that wrote it."""

    key: str
    value: str
    mod_revision: int


class EtcdEndpoint:
    """One member, as user root."""

    def __init__(self, cluster: EtcdCluster, member: EtcdMember, context: ssl.SSLContext) -> None:
        self._http = JsonEndpoint(member.host.address, member.client_port, context if member.tls else None)
        self._password = cluster.root_password
        self._token: str | None = None

    def status(self, *, within_s: float) -> EtcdStatus:
        """What the member knows by itself; answered without a quorum. Raises HttpError."""
        answer = self._call("/v3/maintenance/status", {}, within_s=within_s)
        header = answer.get("header", {})
        leader = str(answer.get("leader", "0"))
        return EtcdStatus(
            member_id=str(header.get("member_id", "")),
            leader_id=None if leader == "0" else leader,
            term=int(answer.get("raftTerm", 0)),
            revision=int(header.get("revision", 0)),
            raft_index=int(answer.get("raftIndex", 0)),
            version=str(answer.get("version", "")),
            errors=tuple(answer.get("errors", ())),
        )

    def members(self, *, linearizable: bool, within_s: float) -> Mapping[str, str]:
        """Name of every member by id. Raises HttpError."""
        answer = self._call("/v3/cluster/member/list", {"linearizable": linearizable}, within_s=within_s)
        return {str(member["ID"]): str(member.get("name", "")) for member in answer.get("members", [])}

    def get(self, key: str, *, serializable: bool, within_s: float) -> KeyValue | None:
        """One key. Raises HttpError."""
        found = self._range({"key": _encoded(key), "serializable": serializable}, within_s=within_s)
        return found[0] if found else None

    def prefix(self, prefix: str, *, serializable: bool, within_s: float) -> tuple[KeyValue, ...]:
        """All keys that start with a prefix (not empty). Raises HttpError."""
        end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        query = {"key": _encoded(prefix), "range_end": _encoded(end), "serializable": serializable}
        return self._range(query, within_s=within_s)

    def move_leader(self, target_id: str, *, within_s: float) -> None:
        """Hand leadership to another member; only the leader itself can. Raises HttpError."""
        self._call("/v3/maintenance/transfer-leadership", {"targetID": target_id}, within_s=within_s)

    def close(self) -> None:
        self._http.close()

    def _range(self, query: Mapping[str, Any], *, within_s: float) -> tuple[KeyValue, ...]:
        answer = self._call("/v3/kv/range", query, within_s=within_s)
        return tuple(
            KeyValue(
                key=base64.b64decode(item["key"]).decode(),
                value=base64.b64decode(item.get("value", "")).decode(),
                mod_revision=int(item["mod_revision"]),
            )
            for item in answer.get("kvs", [])
        )

    def _call(self, path: str, body: Mapping[str, Any], *, within_s: float) -> dict[str, Any]:
        """Log in when the member asks for it: a token lives for minutes and dies with the member's restart."""
        deadline = Deadline.after(within_s)
        status, answer = self._post(path, body, deadline)
        if status in _UNAUTHORIZED:
            self._authenticate(deadline)
            status, answer = self._post(path, body, deadline)
        if status != _OK or not isinstance(answer, dict):
            said = answer.get("message", answer) if isinstance(answer, dict) else answer
            raise HttpError(f"POST {self._http.url}{path}: status {status}: {said}")
        return answer

    def _post(self, path: str, body: Mapping[str, Any], deadline: Deadline) -> tuple[int, Any]:
        headers = {"Authorization": self._token} if self._token else {}
        return self._http.call("POST", path, body=body, headers=headers, within_s=deadline.remaining_s)

    def _authenticate(self, deadline: Deadline) -> None:
        self._token = None
        status, answer = self._post("/v3/auth/authenticate", {"name": ROOT, "password": self._password}, deadline)
        if status != _OK or not isinstance(answer, dict) or "token" not in answer:
            raise HttpError(f"{self._http.url}: etcd refuses user {ROOT}: status {status}")
        self._token = str(answer["token"])


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
