"""A proxy of PostgreSQL's protocol that stops the world at one message: what was sent is exact, not a matter of timing.

    python3 pgproxy.py --listen 127.0.0.1:PORT --server ADDRESS:PORT --ca FILE --cert FILE --key FILE --journal FILE
                       [--hold-request REGEX] [--hold-answer REGEX] [--note REGEX]

It runs on a database server's own machine, between that server and another one, with the certificate of that machine:
towards the client it is the machine itself (loopback is in the certificate), towards the server it is that client. So
it opens no door: whoever connects has to show the very certificate that the proxy has. Both sides speak TLS, verified.

A request whose SQL matches `--hold-request`, or an answer whose command tag matches `--hold-answer`, is not passed on,
nor is anything behind it in the same direction of the same connection, until SIGUSR1 opens the gate for good. Ending
the proxy while it holds a message is a network that lost it. The journal is a file of JSON lines: what was noted, held
and passed.

Messages: https://www.postgresql.org/docs/current/protocol-message-formats.html
Only Python's standard library is used, for the file is copied to the machine alone.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import re
import signal
import ssl
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

SSL_REQUEST: Final = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")
GSS_REQUEST: Final = (80877104).to_bytes(4, "big")
CANCEL_REQUEST: Final = (80877102).to_bytes(4, "big")
QUERY, PARSE, COMPLETE = b"Q", b"P", b"C"
LENGTH_BYTES: Final = 4
LONGEST_START: Final = 10_000
CHUNK_BYTES: Final = 1 << 16
SHOWN: Final = 200
ENDED: Final = (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError, TimeoutError)


class ProtocolError(Exception):
    """What came is not PostgreSQL's protocol, or a part of it that this proxy does not speak."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen or to connect; `host` is literal."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        host, _, port = text.rpartition(":")
        return cls(host.strip("[]"), int(port))


@dataclass(frozen=True, slots=True)
class Rules:
    """Which messages are held or noted. A side without a pattern is left alone."""

    hold_request: re.Pattern[str] | None = None
    hold_answer: re.Pattern[str] | None = None
    note: re.Pattern[str] | None = None

    def held(self, text: str, *, request: bool) -> bool:
        pattern = self.hold_request if request else self.hold_answer
        return pattern is not None and pattern.search(text) is not None

    def noted(self, text: str) -> bool:
        return self.note is not None and self.note.search(text) is not None


@dataclass(slots=True)
class Journal:
    """What happened, one JSON object a line, written at once: the proxy may lose its power at any moment."""

    path: Path
    opened: Any = field(init=False)

    def __post_init__(self) -> None:
        self.opened = self.path.open("a", encoding="utf-8")

    def write(self, event: str, **details: object) -> None:
        self.opened.write(json.dumps({"at": time.time(), "event": event, **details}) + "\n")
        self.opened.flush()

    def close(self) -> None:
        self.opened.close()


def text_of(kind: bytes, payload: bytes, *, request: bool) -> str | None:
    """The SQL of a Query or Parse, the tag of a CommandComplete; None for every other message."""
    if (request and kind == QUERY) or (not request and kind == COMPLETE):
        return payload.partition(b"\0")[0].decode("utf-8", "replace")
    if request and kind == PARSE:
        return payload.partition(b"\0")[2].partition(b"\0")[0].decode("utf-8", "replace")
    return None


class Pump:
    """One direction of one connection."""

    def __init__(self, number: int, rules: Rules, gate: asyncio.Event, journal: Journal, *, request: bool) -> None:
        self._number = number
        self._rules = rules
        self._gate = gate
        self._journal = journal
        self._request = request

    async def run(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        """Pass messages on until one side ends."""
        while True:
            kind = await source.readexactly(1)
            head = await source.readexactly(LENGTH_BYTES)
            left = int.from_bytes(head, "big") - LENGTH_BYTES
            if left < 0:
                raise ProtocolError(f"a message of type {kind!r} has the length {left + LENGTH_BYTES}")
            if kind in (QUERY, PARSE, COMPLETE):
                payload = await source.readexactly(left)
                await self._consider(text_of(kind, payload, request=self._request))
                sink.write(kind + head + payload)
            else:
                sink.write(kind + head)
                while left:
                    part = await source.readexactly(min(left, CHUNK_BYTES))
                    left -= len(part)
                    sink.write(part)
                    await sink.drain()
            await sink.drain()

    async def _consider(self, text: str | None) -> None:
        """Note a message, and hold it while the gate is closed."""
        if text is None:
            return
        told = {"connection": self._number, "side": "request" if self._request else "answer", "text": text[:SHOWN]}
        if self._rules.noted(text):
            self._journal.write("noted", **told)
        if self._rules.held(text, request=self._request) and not self._gate.is_set():
            self._journal.write("held", **told)
            await self._gate.wait()
            self._journal.write("passed", **told)


class Proxy:
    """Accepts connections, and carries each over to the server."""

    def __init__(
        self,
        server: Address,
        rules: Rules,
        journal: Journal,
        *,
        client: ssl.SSLContext,
        own: ssl.SSLContext,
        cert: bytes,
    ) -> None:
        """`client` and `own` are settings of TLS as client and as server; `cert` (DER) is what clients have to show."""
        self.gate = asyncio.Event()
        self._server = server
        self._rules = rules
        self._journal = journal
        self._client = client
        self._own = own
        self._cert = cert
        self._numbers: Iterator[int] = itertools.count(1)
        self._tasks: set[asyncio.Task[None]] = set()

    def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a new connection. The task is ours, so that it is ours to end it without a word."""
        task = asyncio.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def end(self) -> None:
        """Drop every connection, and what is held with it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first byte to its end."""
        number = next(self._numbers)
        upstream: asyncio.StreamWriter | None = None
        try:
            start = await self._accept(reader, writer)
            answers, upstream = await self._connect()
            upstream.write(start)
            await upstream.drain()
            if _code(start) != CANCEL_REQUEST:
                await self._carry(number, reader, writer, answers, upstream)
        except (ProtocolError, OSError, *ENDED) as error:
            if not isinstance(error, asyncio.IncompleteReadError):
                self._journal.write("failed", connection=number, text=f"{type(error).__name__}: {error}"[:SHOWN])
        finally:
            for each in (writer, upstream):
                if each is not None:
                    each.close()

    async def _carry(
        self,
        number: int,
        requests: asyncio.StreamReader,
        back: asyncio.StreamWriter,
        answers: asyncio.StreamReader,
        forth: asyncio.StreamWriter,
    ) -> None:
        """Both directions, until either side has ended. A request that is held outlives its client, as on a network."""
        there = asyncio.create_task(
            Pump(number, self._rules, self.gate, self._journal, request=True).run(requests, forth)
        )
        here = asyncio.create_task(
            Pump(number, self._rules, self.gate, self._journal, request=False).run(answers, back)
        )
        try:
            await asyncio.wait({there, here}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (there, here):
                task.cancel()
            results = await asyncio.gather(there, here, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, ENDED):
                raise result

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
        """Speak TLS with a client that has our certificate; returns its start-up message.

        A request to cancel comes without TLS, and without a certificate: its proof is the key that it carries.
        """
        request = await reader.readexactly(len(SSL_REQUEST))
        if _code(request) == GSS_REQUEST:
            writer.write(b"N")
            request = await reader.readexactly(len(SSL_REQUEST))
        if _code(request) == CANCEL_REQUEST:
            return request + await reader.readexactly(_length(request) - len(request))
        if request != SSL_REQUEST:
            raise ProtocolError("a client that does not begin with a request for TLS is refused")
        writer.write(b"S")
        await writer.start_tls(self._own)
        if writer.get_extra_info("ssl_object").getpeercert(binary_form=True) != self._cert:
            raise ProtocolError("a client with another certificate than this machine's is refused")
        head = await reader.readexactly(LENGTH_BYTES)
        return head + await reader.readexactly(_length(head) - LENGTH_BYTES)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection(self._server.host, self._server.port)
        writer.write(SSL_REQUEST)
        await writer.drain()
        if (answer := await reader.readexactly(1)) != b"S":
            writer.close()
            raise ProtocolError(f"the server answers {answer!r} to a request for TLS")
        await writer.start_tls(self._client, server_hostname=self._server.host)
        return reader, writer


def _code(start: bytes) -> bytes:
    """What a message without a type is: the version of the protocol, or one of the requests."""
    return start[LENGTH_BYTES : 2 * LENGTH_BYTES]


def _length(start: bytes) -> int:
    length = int.from_bytes(start[:LENGTH_BYTES], "big")
    if not 2 * LENGTH_BYTES <= length <= LONGEST_START:
        raise ProtocolError(f"a start-up message of {length} bytes")
    return length


async def run(arguments: argparse.Namespace) -> None:
    """Listen until SIGTERM."""
    client = ssl.create_default_context(cafile=arguments.ca)
    client.load_cert_chain(arguments.cert, arguments.key)
    own = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=arguments.ca)
    own.load_cert_chain(arguments.cert, arguments.key)
    own.verify_mode = ssl.CERT_REQUIRED
    first = Path(arguments.cert).read_text(encoding="ascii").partition("-----END CERTIFICATE-----")
    cert = ssl.PEM_cert_to_DER_cert(first[0][first[0].index("-----BEGIN") :] + first[1])
    rules = Rules(arguments.hold_request, arguments.hold_answer, arguments.note)
    with closing(Journal(Path(arguments.journal))) as journal:
        proxy = Proxy(Address.parse(arguments.server), rules, journal, client=client, own=own, cert=cert)
        at = Address.parse(arguments.listen)
        loop, end = asyncio.get_running_loop(), asyncio.Event()

        def open_gate() -> None:
            journal.write("opened")
            proxy.gate.set()

        loop.add_signal_handler(signal.SIGUSR1, open_gate)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, end.set)
        listener = await asyncio.start_server(proxy.accepted, at.host, at.port)
        journal.write("listening", listen=arguments.listen, server=arguments.server)
        await end.wait()
        listener.close()
        await proxy.end()
        journal.write("ended")


def parsed(words: list[str]) -> argparse.Namespace:
    """Arguments of the command line."""
    parser = argparse.ArgumentParser(description="Proxy of PostgreSQL's protocol that holds chosen messages.")
    for name in ("listen", "server"):
        parser.add_argument(f"--{name}", required=True, metavar="ADDRESS:PORT")
    for name in ("ca", "cert", "key", "journal"):
        parser.add_argument(f"--{name}", required=True, metavar="FILE")
    for name in ("hold-request", "hold-answer", "note"):
        parser.add_argument(f"--{name}", type=re.compile, metavar="REGEX")
    return parser.parse_args(words)


if __name__ == "__main__":
    asyncio.run(run(parsed(sys.argv[1:])))
