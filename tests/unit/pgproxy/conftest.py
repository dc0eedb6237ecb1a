"""A server that can prepare transactions, the proxy before it in a process of its own, and clients of both."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest

from halab.bench.scratch import PASSWORD, SUPERUSER, Server, ServerMissing, scratch
from halab.waiting import eventually

PROXY = Path(__file__).parents[2] / "integration/support/pgproxy.py"
WITHIN_S = 10.0


@dataclass
class Proxy:
    """A running proxy and its journal."""

    server: Server
    port: int
    path: Path
    process: subprocess.Popen[bytes]

    @property
    def journal(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()] if self.path.exists() else []

    def texts(self, event: str) -> list[str]:
        return [entry["text"] for entry in self.journal if entry["event"] == event]

    def wait_for(self, event: str, *, times: int = 1) -> None:
        def seen() -> bool:
            return sum(entry["event"] == event for entry in self.journal) >= times

        eventually(seen, within_s=WITHIN_S, what=f"{times} times {event} in the proxy's journal", every_s=0.02)

    def open_gate(self) -> None:
        self.process.send_signal(signal.SIGUSR1)
        self.wait_for("opened")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(WITHIN_S)

    def connect(self, **changes: Any) -> psycopg.Connection:
        return connect(self.server, port=self.port, **changes)


def connect(server: Server, **changes: Any) -> psycopg.Connection:
    """A client that shows the server's own certificate, as a machine does that connects from itself."""
    folder = server.folder
    values = {
        "host": "127.0.0.1", "port": server.port, "user": SUPERUSER, "password": PASSWORD, "dbname": "postgres",
        "sslmode": "verify-full", "sslrootcert": folder / "ca.crt", "sslcert": folder / "server.crt",
        "sslkey": folder / "client.key", "gssencmode": "disable", "connect_timeout": 5,
    }  # fmt: skip
    # A statement that is sent often would else be prepared, and then no longer be in the messages that are waited for.
    return psycopg.connect(**{**values, **changes}, autocommit=True, prepare_threshold=None)


def execute(connection: psycopg.Connection, statement: str) -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


@pytest.fixture(scope="session")
def preparing() -> Iterator[Server]:
    """A scratch server with room for prepared transactions."""
    try:
        with scratch() as server:
            connection = connect(server)
            execute(connection, "ALTER SYSTEM SET max_prepared_transactions = 5")
            connection.close()
            server.run("pg_ctl", "-D", "data", "-m", "fast", "-w", "-l", "log", "restart")
            (server.folder / "client.key").chmod(0o600)
            yield server
    except ServerMissing as error:
        pytest.skip(str(error))


@pytest.fixture
def direct(preparing: Server) -> Iterator[psycopg.Connection]:
    """A connection to the server itself; at the end nothing prepared is left."""
    connection = connect(preparing)
    yield connection
    for (name,) in execute(connection, "SELECT gid FROM pg_prepared_xacts"):
        execute(connection, f"ROLLBACK PREPARED '{name}'")
    execute(connection, "DROP TABLE IF EXISTS moved")
    connection.close()


@dataclass
class Proxies:
    """Starts proxies."""

    server: Server
    folder: Path
    made: list[Proxy] = field(default_factory=list)

    def start(self, *options: str, server: str = "") -> Proxy:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        path = self.folder / f"journal-{len(self.made)}"
        tls = {"ca": "ca.crt", "cert": "server.crt", "key": "client.key"}
        files = [word for name, file in tls.items() for word in (f"--{name}", str(self.server.folder / file))]
        process = subprocess.Popen(
            [sys.executable, str(PROXY), "--listen", f"127.0.0.1:{port}", "--server",
             server or f"127.0.0.1:{self.server.port}", "--journal", str(path), *files, *options],
        )  # fmt: skip
        proxy = Proxy(self.server, port, path, process)
        self.made.append(proxy)
        proxy.wait_for("listening")
        return proxy


@pytest.fixture
def proxies(preparing: Server, tmp_path: Path) -> Iterator[Callable[..., Proxy]]:
    """Starts a proxy with the given options; all end with the test."""
    made = Proxies(preparing, tmp_path)
    yield made.start
    for proxy in made.made:
        with suppress(ProcessLookupError):
            proxy.process.terminate()
        assert proxy.process.wait(WITHIN_S) in (0, -signal.SIGKILL), "the proxy did not end by itself"
