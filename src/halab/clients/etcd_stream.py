"""A watch of etcd through the JSON gateway: answers, one JSON object a line, that arrive while the connection lasts.

http.client cannot go on with an answer after a read of it timed out, so that this reads the connection itself.
"""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from halab.clients.etcd_channel import CHUNK_BYTES, SHORTEST_S, Channel, refusal
from halab.clients.outcome import OperationFailed
from halab.waiting import Deadline

_HEAD_ENDS: Final = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Event:
    """A key that was put (or deleted: value None) by a revision."""

    revision: int
    key: str
    value: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One answer of a watch, with all its events; `compacted` is the first revision that is still there."""

    events: tuple[Event, ...] = ()
    member: str = ""
    term: int = 0
    revision: int = 0
    created: bool = False
    cancelled: str = ""
    compacted: int = 0


class Stream:
    """A watch under way. Used by one thread."""

    def __init__(self, channel: Channel, request: Mapping[str, Any], deadline: Deadline) -> None:
        """Ask for it. Raises OperationFailed, always a fail."""
        self._connection = channel.connect(deadline)
        self._lines = _Lines()
        body = json.dumps({"create_request": request}).encode()
        headers = {"Host": "etcd", "Content-Length": str(len(body)), **channel.login.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        try:
            self._connection.sock.sendall(f"POST /v3/watch HTTP/1.1\r\n{head}\r\n".encode() + body)
        except OSError as error:
            raise self._broken(f"{type(error).__name__}: {error}") from None

    def wait(self, deadline: Deadline) -> list[Notice]:
        """The answers that are there; waits for one until the deadline. Raises OperationFailed for a broken stream."""
        notices = self._taken()
        while not notices and not deadline.expired:
            self._receive(max(deadline.remaining_s, SHORTEST_S))
            notices = self._taken()
        return notices

    def close(self) -> None:
        self._connection.close()

    def _receive(self, timeout_s: float) -> None:
        if self._lines.ended:
            raise self._broken("the member ended the stream")
        try:
            self._connection.sock.settimeout(timeout_s)
            data = self._connection.sock.recv(CHUNK_BYTES)
        except TimeoutError:
            return
        except OSError as error:
            raise self._broken(f"{type(error).__name__}: {error}") from None
        if not data:
            raise self._broken("the member ended the stream")
        try:
            self._lines.feed(data)
        except (ValueError, http.client.HTTPException) as error:
            raise self._broken(str(error)) from None

    def _taken(self) -> list[Notice]:
        return [self._notice(line) for line in self._lines.taken()]

    def _notice(self, line: bytes) -> Notice:
        try:
            said = json.loads(line)
        except ValueError:
            raise self._broken(f"not JSON: {line[:80]!r}") from None
        if "error" in said or "result" not in said:
            self.close()
            error = refusal(said)
            raise OperationFailed("fail", error.error_class, error.text, reached=error.reached, lost=True)
        return _notice(said["result"])

    def _broken(self, words: str) -> OperationFailed:
        self.close()
        return OperationFailed("fail", "stream-broken", words, reached=True, lost=True)


class _Lines:
    """Lines out of an HTTP answer in chunks (RFC 9112, section 7.1)."""

    def __init__(self) -> None:
        self._raw = b""
        self._text = b""
        self._in_head = True
        self.ended = False

    def feed(self, data: bytes) -> None:
        """Raises ValueError or HTTPException for what is no answer in chunks."""
        self._raw += data
        if self._in_head:
            head, found, rest = self._raw.partition(_HEAD_ENDS)
            if not found:
                return
            if b"chunked" not in head.lower():
                raise http.client.HTTPException(f"no stream: {head.splitlines()[0]!r} {rest[:200]!r}")
            self._raw, self._in_head = rest, False
        while self._chunk():
            pass

    def taken(self) -> list[bytes]:
        """Whole lines, once."""
        *lines, self._text = self._text.split(b"\n")
        return [line for line in lines if line.strip()]

    def _chunk(self) -> bool:
        size, found, rest = self._raw.partition(b"\r\n")
        if not found:
            return False
        length = int(size.split(b";")[0], 16)
        if length == 0:
            self.ended = True
            return False
        if len(rest) < length + 2:
            return False
        self._text += rest[:length]
        self._raw = rest[length + 2 :]
        return True


def _notice(result: Mapping[str, Any]) -> Notice:
    header = result.get("header", {})
    events = []
    for event in result.get("events", ()):
        item = event["kv"]
        key = base64.b64decode(item["key"]).decode()
        deleted = event.get("type") == "DELETE"
        value = None if deleted else base64.b64decode(item.get("value", "")).decode()
        events.append(Event(int(item["mod_revision"]), key, value))
    return Notice(
        events=tuple(events),
        member=str(header.get("member_id", "")),
        term=int(header.get("raft_term", 0)),
        revision=int(header.get("revision", 0)),
        created=bool(result.get("created")),
        cancelled=str(result.get("cancel_reason") or "no reason given") if result.get("canceled") else "",
        compacted=int(result.get("compact_revision", 0)),
    )
