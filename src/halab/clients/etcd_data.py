"""Data of etcd through one member: keys, transactions, leases and watches, with a deadline and an honest outcome each.

Reads need a quorum (they are linearizable): https://etcd.io/docs/v3.5/learning/api_guarantees/
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from halab.clients.etcd_channel import Channel
from halab.clients.etcd_stream import Stream
from halab.clients.outcome import nothing_done
from halab.waiting import Deadline

Part = Mapping[str, Any]
"""A condition or a step of a transaction."""


@dataclass(frozen=True, slots=True)
class Header:
    """Who answered, in which term of Raft, at which revision of the store; of a write it is the write's own."""

    member: str
    term: int
    revision: int


@dataclass(frozen=True, slots=True)
class Item:
    """A key with its value and the revisions that created it and wrote it last."""

    key: str
    value: str
    create_revision: int
    mod_revision: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a read, or the reads of a transaction, found; `succeeded` says whether its conditions held."""

    header: Header
    items: tuple[Item, ...]
    succeeded: bool = True

    @property
    def item(self) -> Item | None:
        """The only one; None where the key is absent."""
        return self.items[0] if self.items else None


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease and the seconds that etcd gives it without a sign of life; 0 where it is no more."""

    lease: int
    ttl_s: int
    header: Header


class EtcdData:
    """One member. Every method raises OperationFailed; one that only reads raises none of outcome info."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    @property
    def name(self) -> str:
        return self._channel.member.name

    def get(self, key: str, *, within_s: float) -> Found:
        """One key, as of now."""
        return self._range({"key": _encoded(key)}, within_s)

    def prefix(self, prefix: str, *, within_s: float, keys_only: bool = False) -> Found:
        """All keys that start with a prefix (not empty), at one revision."""
        return self._range({**_whole(prefix), "keys_only": keys_only}, within_s)

    def put(self, key: str, value: str, *, within_s: float) -> Header:
        answer = self._call("/v3/kv/put", _pair(key, value), within_s)
        return _header(answer)

    def transaction(
        self, when: Sequence[Part], then: Sequence[Part], otherwise: Sequence[Part] = (), *, within_s: float
    ) -> Found:
        """`then` if all of `when` hold, else `otherwise`, in one revision."""
        body = {"compare": list(when), "success": list(then), "failure": list(otherwise)}
        answer = self._call("/v3/kv/txn", body, within_s)
        parts = [part["response_range"] for part in answer.get("responses", ()) if "response_range" in part]
        items = tuple(_item(item) for part in parts for item in part.get("kvs", ()))
        return Found(_header(answer), items, bool(answer.get("succeeded")))

    def delete_prefix(self, prefix: str, *, within_s: float) -> int:
        """How many keys there were."""
        return int(self._call("/v3/kv/deleterange", _whole(prefix), within_s).get("deleted", 0))

    def grant(self, ttl_s: int, *, within_s: float, lease: int = 0) -> Lease:
        """A new lease, of the number `lease` or one that etcd chooses; never shorter than etcd allows."""
        answer = self._call("/v3/lease/grant", {"TTL": str(ttl_s), "ID": str(lease)}, within_s)
        return Lease(int(answer["ID"]), int(answer.get("TTL", 0)), _header(answer))

    def keep_alive(self, lease: int, *, within_s: float) -> Lease:
        """A sign of life."""
        answer = self._call("/v3/lease/keepalive", {"ID": str(lease)}, within_s).get("result", {})
        return Lease(lease, int(answer.get("TTL", 0)), _header(answer))

    def revoke(self, lease: int, *, within_s: float) -> None:
        """End it, and delete the keys that hang on it."""
        self._call("/v3/lease/revoke", {"ID": str(lease)}, within_s)

    def lives(self, lease: int, *, within_s: float) -> bool:
        """Whether there is such a lease."""
        with nothing_done():
            return int(self._call("/v3/lease/timetolive", {"ID": str(lease)}, within_s).get("TTL", 0)) > 0

    def watch(self, prefix: str, *, first: int, within_s: float) -> Stream:
        """Every change of keys with a prefix from revision `first` on.

        The member is made to answer a read first: a watch would not tell for want of what it was refused.
        """
        deadline = Deadline.after(within_s)
        with nothing_done():
            self._channel.call("/v3/kv/range", {"key": _encoded(prefix), "limit": "1"}, deadline)
        return Stream(self._channel, {**_whole(prefix), "start_revision": str(first)}, deadline)

    def close(self) -> None:
        self._channel.close()

    def _range(self, query: Part, within_s: float) -> Found:
        with nothing_done():
            answer = self._call("/v3/kv/range", query, within_s)
        return Found(_header(answer), tuple(_item(item) for item in answer.get("kvs", ())))

    def _call(self, path: str, body: Part, within_s: float) -> dict[str, Any]:
        return self._channel.call(path, body, Deadline.after(within_s))


def created_at(key: str, revision: int) -> Part:
    """That the key was created by this revision; 0: that it is absent."""
    return {"key": _encoded(key), "target": "CREATE", "result": "EQUAL", "create_revision": str(revision)}


def has_value(key: str, value: str) -> Part:
    """That the key has this value."""
    return {"key": _encoded(key), "target": "VALUE", "result": "EQUAL", "value": _encoded(value)}


def put_of(key: str, value: str, *, lease: int = 0) -> Part:
    return {"request_put": {**_pair(key, value), "lease": str(lease)}}


def get_of(key: str) -> Part:
    return {"request_range": {"key": _encoded(key)}}


def delete_of(key: str) -> Part:
    return {"request_delete_range": {"key": _encoded(key)}}


def _whole(prefix: str) -> dict[str, Any]:
    return {"key": _encoded(prefix), "range_end": _encoded(prefix[:-1] + chr(ord(prefix[-1]) + 1))}


def _pair(key: str, value: str) -> dict[str, Any]:
    return {"key": _encoded(key), "value": _encoded(value)}


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _header(answer: Part) -> Header:
    header = answer.get("header", {})
    return Header(str(header.get("member_id", "")), int(header.get("raft_term", 0)), int(header.get("revision", 0)))


def _item(item: Part) -> Item:
    return Item(
        key=base64.b64decode(item["key"]).decode(),
        value=base64.b64decode(item.get("value", "")).decode(),
        create_revision=int(item["create_revision"]),
        mod_revision=int(item["mod_revision"]),
    )
