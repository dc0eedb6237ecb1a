"""The proxy on a real server: it changes nothing, holds the one message that it should, and lets nobody else in."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from tests.integration.support.pgproxy import Address, Rules, parsed, text_of
from tests.unit.pgproxy.conftest import WITHIN_S, Proxy, execute

from halab.waiting import eventually

Start = Callable[..., Proxy]
SLEEPERS = "SELECT 1 FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)' AND wait_event = 'PgSleep'"
HOLD_COMMIT = ("--hold-request", "^COMMIT PREPARED", "--note", "PREPARE")


class Later(threading.Thread):
    """A statement that another thread waits for."""

    def __init__(self, connection: psycopg.Connection, statement: str) -> None:
        super().__init__(daemon=True)
        self._connection, self._statement = connection, statement
        self.failed: psycopg.Error | None = None
        self.start()

    def run(self) -> None:
        try:
            execute(self._connection, self._statement)
        except psycopg.Error as error:
            self.failed = error


def prepare(connection: psycopg.Connection, name: str) -> None:
    execute(connection, "BEGIN")
    execute(connection, "CREATE TABLE moved (id int)")
    execute(connection, f"PREPARE TRANSACTION '{name}'")


def prepared(connection: psycopg.Connection) -> list[str]:
    return [name for (name,) in execute(connection, "SELECT gid FROM pg_prepared_xacts")]


def tables(connection: psycopg.Connection) -> bool:
    return execute(connection, "SELECT to_regclass('moved') IS NOT NULL") == [(True,)]


def test_it_passes_everything_on_unchanged(proxies: Start) -> None:
    through = proxies().connect()
    assert execute(through, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()") == [(True,)]
    [(text,)] = execute(through, "SELECT repeat('xyz', 1000000)")
    assert text == "xyz" * 1_000_000
    with pytest.raises(psycopg.errors.DivisionByZero):
        execute(through, "SELECT 1/0")
    with through.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE t (id int)")
        cursor.execute("INSERT INTO t SELECT i FROM generate_series(1, %s) AS i", (1000,))
        cursor.execute("SELECT count(*), sum(id) FROM t")
        assert cursor.fetchall() == [(1000, 500500)]


def test_a_request_is_held_before_the_server_hears_of_it(proxies: Start, direct: Any) -> None:
    proxy = proxies(*HOLD_COMMIT)
    through = proxy.connect()
    prepare(through, "held")
    commit = Later(through, "COMMIT PREPARED 'held'")
    proxy.wait_for("held")
    assert commit.is_alive()
    assert prepared(direct) == ["held"]
    assert not tables(direct)
    proxy.open_gate()
    commit.join(WITHIN_S)
    assert not commit.is_alive() and commit.failed is None
    assert prepared(direct) == []
    assert tables(direct)
    assert proxy.texts("passed") == ["COMMIT PREPARED 'held'"]
    assert proxy.texts("noted") == [
        "PREPARE TRANSACTION 'held'", "PREPARE TRANSACTION", "COMMIT PREPARED 'held'", "COMMIT PREPARED",
    ]  # fmt: skip


def test_a_held_request_never_arrives_once_the_proxy_is_dead(proxies: Start, direct: Any) -> None:
    proxy = proxies(*HOLD_COMMIT)
    through = proxy.connect()
    prepare(through, "lost")
    commit = Later(through, "COMMIT PREPARED 'lost'")
    proxy.wait_for("held")
    proxy.kill()
    commit.join(WITHIN_S)
    assert isinstance(commit.failed, psycopg.OperationalError)
    assert prepared(direct) == ["lost"]
    assert not tables(direct)


def test_an_answer_is_held_after_the_server_has_acted(proxies: Start, direct: Any) -> None:
    proxy = proxies("--hold-answer", "^PREPARE TRANSACTION$")
    through = proxy.connect()
    execute(through, "BEGIN")
    execute(through, "CREATE TABLE moved (id int)")
    asked = Later(through, "PREPARE TRANSACTION 'answered'")
    proxy.wait_for("held")
    assert prepared(direct) == ["answered"]
    assert asked.is_alive()
    proxy.open_gate()
    asked.join(WITHIN_S)
    assert not asked.is_alive() and asked.failed is None


def test_only_what_matches_is_held_and_only_on_its_connection(proxies: Start, direct: Any) -> None:
    proxy = proxies(*HOLD_COMMIT)
    one, other = proxy.connect(), proxy.connect()
    prepare(one, "one")
    commit = Later(one, "COMMIT PREPARED 'one'")
    proxy.wait_for("held")
    assert execute(other, "SELECT 'COMMIT PREPARED'") == [("COMMIT PREPARED",)], "the pattern has its own anchor"
    assert commit.is_alive()
    proxy.open_gate()
    commit.join(WITHIN_S)
    prepare_again = "BEGIN; DROP TABLE moved; PREPARE TRANSACTION 'two'"
    execute(other, prepare_again)
    execute(other, "COMMIT PREPARED 'two'")
    assert not tables(direct), "an open gate holds nothing any more"
    assert proxy.texts("held") == ["COMMIT PREPARED 'one'"]


def test_whoever_shows_no_certificate_or_another_one_is_refused(proxies: Start) -> None:
    proxy = proxies()
    with pytest.raises(psycopg.OperationalError):
        proxy.connect(sslcert="/dev/null", sslkey="/dev/null")
    folder = proxy.server.folder
    with pytest.raises(psycopg.OperationalError):
        proxy.connect(sslcert=folder / "ca.crt", sslkey=folder / "ca.key")
    with pytest.raises(psycopg.OperationalError):
        proxy.connect(sslmode="disable")
    assert execute(proxy.connect(), "SELECT 1") == [(1,)]
    assert len(proxy.texts("failed")) >= 3


def test_a_server_whose_certificate_is_of_another_name_is_refused(proxies: Start, preparing: Any) -> None:
    proxy = proxies(server=f"127.0.0.2:{preparing.port}")
    with pytest.raises(psycopg.OperationalError):
        proxy.connect()
    assert "CERTIFICATE_VERIFY_FAILED" in proxy.texts("failed")[0]


def test_a_client_that_speaks_something_else_does_no_harm(proxies: Start) -> None:
    proxy = proxies()
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=WITHIN_S) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert plain.recv(64) == b""
    assert "request for TLS is refused" in proxy.texts("failed")[0]
    assert execute(proxy.connect(), "SELECT 1") == [(1,)]


def test_a_request_to_cancel_reaches_the_server(proxies: Start, direct: Any) -> None:
    through = proxies().connect()
    asleep = Later(through, "SELECT pg_sleep(60)")
    eventually(lambda: execute(direct, SLEEPERS), within_s=WITHIN_S, what="the server to sleep", every_s=0.02)
    through.cancel()
    asleep.join(WITHIN_S)
    assert isinstance(asleep.failed, psycopg.errors.QueryCanceled)


@pytest.mark.parametrize(
    ("kind", "payload", "request_", "text"),
    [
        (b"Q", b"COMMIT PREPARED 'a'\0", True, "COMMIT PREPARED 'a'"),
        (b"P", b"name\0SELECT 1\0\0\0", True, "SELECT 1"),
        (b"C", b"PREPARE TRANSACTION\0", False, "PREPARE TRANSACTION"),
        (b"C", b"Sname\0", True, None),
        (b"D", b"Q", False, None),
        (b"Q", b"\xff\0", True, "\ufffd"),
    ],
)
def test_the_text_of_a_message(kind: bytes, payload: bytes, request_: bool, text: str | None) -> None:
    assert text_of(kind, payload, request=request_) == text


def test_arguments_become_rules() -> None:
    words = [
        "--listen",
        "127.0.0.1:1",
        "--server",
        "[::1]:2",
        "--ca",
        "a",
        "--cert",
        "b",
        "--key",
        "c",
        "--journal",
        "d",
    ]
    given = parsed([*words, "--hold-request", "^X"])
    rules = Rules(given.hold_request, given.hold_answer, given.note)
    assert Address.parse(given.server) == Address("::1", 2)
    assert rules.held("X", request=True)
    assert not rules.held("X", request=False)
    assert not rules.noted("X")
