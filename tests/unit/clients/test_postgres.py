"""Outcomes of operations on a real server that freezes, refuses, dies and hesitates."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from tests.unit.clients.freezing import frozen

from halab.clients.outcome import OperationFailed
from halab.clients.postgres import IDLE_S, Connection
from halab.waiting import eventually


@pytest.fixture(autouse=True)
def table(postgres) -> Iterator[None]:
    connection = postgres.connection()
    connection.run("CREATE TABLE numbers (id int PRIMARY KEY)", within_s=5)
    yield
    connection.run("DROP TABLE numbers", within_s=5)
    connection.close()


@pytest.fixture
def client(postgres) -> Iterator[Connection]:
    connection = postgres.connection()
    yield connection
    connection.close()


def failure(act: Callable[[], object]) -> OperationFailed:
    with pytest.raises(OperationFailed) as caught:
        act()
    return caught.value


def pid_of(client: Connection) -> int:
    [(pid,)] = client.run("SELECT pg_backend_pid()", within_s=5)
    return int(pid)


def after(seconds: float, act: Callable[[], object]) -> threading.Timer:
    timer = threading.Timer(seconds, act)
    timer.start()
    return timer


def test_a_frozen_server_ends_an_operation_at_its_deadline_with_an_unknown_outcome(postgres, client):
    with frozen(pid_of(client)):
        started = time.monotonic()
        error = failure(lambda: client.run("INSERT INTO numbers VALUES (1)", within_s=1.0))
        took = time.monotonic() - started
    assert (error.outcome, error.error_class) == ("info", "deadline")
    assert 0.9 < took < 1.5
    # Why it is unknown and not failed: the server got the statement before it noticed that the client had left.
    other = postgres.connection()
    eventually(lambda: other.run("SELECT 1 FROM numbers WHERE id = 1", within_s=5), within_s=5, what="the insert")
    other.close()


def test_a_frozen_server_ends_a_connect_at_its_deadline_and_nothing_was_sent(postgres):
    with frozen(postgres.pid):
        started = time.monotonic()
        error = failure(lambda: postgres.connection().run("SELECT 1", within_s=1.0))
        took = time.monotonic() - started
    assert (error.outcome, error.error_class, error.reached) == ("fail", "connect-deadline", False)
    assert 0.9 < took < 1.5


def test_the_client_works_again_after_a_deadline(client):
    with frozen(pid_of(client)):
        failure(lambda: client.run("SELECT 1", within_s=0.3))
    assert client.run("SELECT 2", within_s=5) == [(2,)]


def test_a_refused_connection_is_a_failure(postgres):
    error = failure(lambda: Connection(postgres.target(port=1)).run("SELECT 1", within_s=2))
    assert (error.outcome, error.error_class, error.reached) == ("fail", "connect-refused", False)


def test_a_read_only_server_is_a_failure(client):
    client.run("SET default_transaction_read_only = on", within_s=5)
    error = failure(lambda: client.run("INSERT INTO numbers VALUES (1)", within_s=5))
    assert (error.outcome, error.error_class, error.reached) == ("fail", "25006", False)


def test_an_error_of_the_statement_is_a_failure_of_a_reached_server(client):
    client.run("INSERT INTO numbers VALUES (1)", within_s=5)
    error = failure(lambda: client.run("INSERT INTO numbers VALUES (1)", within_s=5))
    assert (error.outcome, error.error_class, error.reached) == ("fail", "23505", True)


def test_a_server_that_does_not_know_itself_leaves_an_unknown(client):
    said = "DO $$BEGIN RAISE 'words' USING ERRCODE = '40003'; END$$"
    assert failure(lambda: client.run(said, within_s=5)).outcome == "info"
    said = "DO $$BEGIN RAISE 'words' USING ERRCODE = '40001'; END$$"
    assert failure(lambda: client.run(said, within_s=5)).outcome == "fail"


def test_a_commit_that_rolls_back_is_a_failure(client):
    """As it does where a statement has failed, even if who asked for it took no notice."""

    def work() -> None:
        with client.transaction(within_s=5) as execute:
            execute("INSERT INTO numbers VALUES (1)")
            failure(lambda: execute("SELECT 1 / 0"))

    error = failure(work)
    assert (error.outcome, error.error_class, error.reached) == ("fail", "rolled-back", True)
    assert client.run("SELECT id FROM numbers", within_s=5) == []


def test_a_session_ended_in_the_middle_of_a_statement_is_unknown(postgres, client):
    pid = pid_of(client)
    killer = postgres.connection()
    timer = after(0.3, lambda: killer.run("SELECT pg_terminate_backend(%s)", (pid,), within_s=5))
    error = failure(lambda: client.run("SELECT pg_sleep(5)", within_s=10))
    timer.join()
    killer.close()
    assert error.outcome == "info"
    assert "administrator command" in str(error)


def test_a_backend_killed_in_the_middle_of_a_statement_is_unknown(postgres, client):
    pid = pid_of(client)
    timer = after(0.3, lambda: os.kill(pid, signal.SIGKILL))
    error = failure(lambda: client.run("SELECT pg_sleep(5)", within_s=10))
    timer.join()
    postgres.wait_until_ready()
    assert (error.outcome, error.error_class) == ("info", "connection-lost")


def test_a_cancelled_wait_for_synchronous_replication_is_unknown(postgres, client):
    admin = postgres.connection()
    other = postgres.connection()
    cancel = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    numbers = itertools.count()

    def insert_until_one_waits() -> None:
        # The checkpointer tells the other processes about the setting, some time after they have loaded it themselves.
        for number in numbers:
            client.run("INSERT INTO numbers VALUES (%s)", (number,), within_s=10)

    admin.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'", within_s=5)
    try:
        admin.run("SELECT pg_reload_conf()", within_s=5)
        waiting = after(
            0, lambda: eventually(lambda: other.run(cancel, within_s=5), within_s=8, what="a wait for replication")
        )
        error = failure(insert_until_one_waits)
        waiting.join()
    finally:
        admin.run("ALTER SYSTEM RESET synchronous_standby_names", within_s=5)
        admin.run("SELECT pg_reload_conf()", within_s=5)
    assert (error.outcome, error.error_class) == ("info", "sync-wait-cancelled")
    [(last,)] = admin.run("SELECT max(id) FROM numbers", within_s=5)
    assert last == next(numbers) - 1
    admin.close()
    other.close()


def test_a_commit_that_a_worker_of_citus_has_not_heard_of_is_unknown(client):
    """The server's words are those of Citus; only here are they said without it."""
    warned = "DO $$BEGIN RAISE WARNING 'failed to commit transaction on 192.0.2.1:5432'; END$$"
    error = failure(lambda: client.run(warned, within_s=5))
    assert (error.outcome, error.error_class, error.reached) == ("info", "commit-unfinished", True)
    assert client.run("SELECT 1", within_s=5) == [(1,)], "the connection is of further use"


def test_a_session_that_ended_while_idle_is_replaced_before_anything_is_sent(postgres, client):
    pid = pid_of(client)
    other = postgres.connection()
    other.run("SELECT pg_terminate_backend(%s)", (pid,), within_s=5)
    eventually(
        lambda: not other.run("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (pid,), within_s=5),
        within_s=5,
        what="the session to end",
    )
    time.sleep(2 * IDLE_S)  # a connection that answered just now is trusted
    assert pid_of(client) != pid
    other.close()


def test_a_wrong_password_is_a_failure_that_does_not_repeat_it(postgres):
    error = failure(lambda: Connection(postgres.target(password="not-this-one")).run("SELECT 1", within_s=5))
    assert (error.outcome, error.error_class) == ("fail", "connect-authentication")
    assert "not-this-one" not in str(error)


@pytest.mark.parametrize("change", [{"ca_file": "other-ca.crt"}, {"address": "127.0.0.2"}], ids=["authority", "name"])
def test_a_server_that_its_certificate_does_not_vouch_for_is_refused(postgres, change):
    if "ca_file" in change:
        change = {"ca_file": postgres.folder / change["ca_file"]}
    error = failure(lambda: Connection(postgres.target(**change)).run("SELECT 1", within_s=5))
    assert (error.outcome, error.error_class) == ("fail", "connect-tls")


def test_passwords_are_in_no_repr(postgres):
    assert "scratch-superuser" not in repr(postgres.target())


def test_deadlines_of_threads_do_not_mix(postgres):
    outcomes: dict[str, object] = {}

    def work(name: str, within_s: float) -> None:
        connection = postgres.connection()
        try:
            outcomes[name] = connection.run("SELECT 1 FROM pg_sleep(1)", within_s=within_s)
        except OperationFailed as error:
            outcomes[name] = error.error_class
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=arguments) for arguments in (("short", 0.4), ("long", 10.0))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes == {"short": "deadline", "long": [(1,)]}


def test_a_transaction_commits_at_its_end(client):
    with client.transaction(within_s=5) as execute:
        execute("INSERT INTO numbers VALUES (%s)", (1,))
        execute("INSERT INTO numbers VALUES (%s)", (2,))
    assert client.run("SELECT count(*) FROM numbers", within_s=5) == [(2,)]


def test_a_transaction_whose_body_fails_leaves_nothing_and_the_connection_serves_on(client):
    pid = pid_of(client)

    def twice() -> None:
        with client.transaction(within_s=5) as execute:
            execute("INSERT INTO numbers VALUES (1)")
            execute("INSERT INTO numbers VALUES (1)")

    error = failure(twice)
    assert (error.outcome, error.error_class, error.reached) == ("fail", "23505", True)
    assert client.run("SELECT count(*) FROM numbers", within_s=5) == [(0,)]
    assert pid_of(client) == pid


def test_a_connection_lost_before_the_commit_is_a_failure(postgres, client):
    pid, killer = pid_of(client), postgres.connection()

    def act() -> None:
        with client.transaction(within_s=5) as execute:
            execute("INSERT INTO numbers VALUES (1)")
            killer.run("SELECT pg_terminate_backend(%s, 5000)", (pid,), within_s=5)
            execute("INSERT INTO numbers VALUES (2)")

    error = failure(act)
    assert (error.outcome, error.lost) == ("fail", True)
    assert killer.run("SELECT count(*) FROM numbers", within_s=5) == [(0,)]
    killer.close()


def test_a_commit_without_an_answer_is_unknown(postgres, client):
    pid = pid_of(client)

    def act() -> None:
        with client.transaction(within_s=1) as execute:
            execute("INSERT INTO numbers VALUES (1)")
            os.kill(pid, signal.SIGSTOP)

    try:
        error = failure(act)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (error.outcome, error.error_class) == ("info", "deadline")


def test_a_transaction_that_is_late_for_its_commit_is_not_committed_by_the_next(client):
    within_s = 1.5

    def act() -> None:
        with client.transaction(within_s=within_s) as execute:
            execute("INSERT INTO numbers VALUES (1)")
            time.sleep(within_s)  # what is tested is that time goes by, as on a busy machine

    error = failure(act)
    assert (error.outcome, error.error_class) == ("fail", "late")
    with client.transaction(within_s=5) as execute:
        execute("INSERT INTO numbers VALUES (2)")
    assert client.run("SELECT id FROM numbers", within_s=5) == [(2,)]


def test_a_commit_that_is_refused_leaves_the_connection_to_the_next(client):
    client.run("CREATE TABLE pairs (id int, of int REFERENCES numbers DEFERRABLE INITIALLY DEFERRED)", within_s=5)
    pid = pid_of(client)

    def act() -> None:
        with client.transaction(within_s=5) as execute:
            execute("INSERT INTO pairs VALUES (1, 7)")

    try:
        error = failure(act)
        assert (error.outcome, error.error_class) == ("fail", "23503")
        with client.transaction(within_s=5) as execute:
            execute("INSERT INTO numbers VALUES (7)")
            execute("INSERT INTO pairs VALUES (2, 7)")
        assert client.run("SELECT id FROM pairs", within_s=5) == [(2,)]
        assert pid_of(client) == pid
    finally:
        client.run("DROP TABLE pairs", within_s=5)


def test_a_prepared_statement_is_prepared_again_on_the_next_connection(client):
    def insert(number: int) -> list[tuple[int, ...]]:
        statement = "INSERT INTO numbers VALUES ($1) RETURNING id"
        return client.run_prepared("ins", statement, (number,), within_s=5)

    assert insert(1) == [(1,)]
    assert insert(2) == [(2,)]
    client.close()
    assert insert(3) == [(3,)]


def test_of_several_servers_the_one_that_accepts_writes_is_used(postgres):
    target = postgres.target(port=1, session="read-write", others=(("127.0.0.1", postgres.port),))
    client = Connection(target)
    assert client.run("SELECT 1", within_s=5) == [(1,)]
    client.close()


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield int(listening.getsockname()[1])


def test_one_of_several_servers_that_never_answers_does_not_hide_the_others(postgres, silent):
    client = Connection(postgres.target(port=silent, session="read-write", others=(("127.0.0.1", postgres.port),)))
    assert client.run("SELECT 1", within_s=10) == [(1,)]
    client.close()


def test_without_a_standby_any_server_serves_those_who_would_like_one(postgres):
    client = Connection(postgres.target(session="prefer-standby"))
    assert client.run("SELECT 1", within_s=5) == [(1,)]
    client.close()
    error = failure(lambda: Connection(postgres.target(session="standby")).run("SELECT 1", within_s=5))
    assert (error.outcome, error.error_class) == ("fail", "connect-rejected")


def test_parameters_arrive_as_they_are(client):
    given = ("it's 100 %", 'back\\slash "quoted"', -7, 1.5, None, True, [1, 2], ["a'b", None])
    places = "%s::text, %s::text, %s, %s::float8, %s::int, %s, %s, %s::text[], '%%'"
    assert client.run(f"SELECT {places}", given, within_s=5) == [(*given, "%")]
    typed = "$1::text, $2::text, $3::int, $4::float8, $5::int, $6::bool, $7::int[], $8::text[]"
    assert client.run_prepared("given", f"SELECT {typed}", given, within_s=5) == [given]


def test_of_several_statements_the_last_answers_and_the_first_that_fails_ends_them(client):
    assert client.run("SELECT 1; SELECT 2", within_s=5) == [(2,)]
    error = failure(lambda: client.run("INSERT INTO numbers VALUES (1); SELECT 1/0; SELECT 2", within_s=5))
    assert (error.outcome, error.error_class) == ("fail", "22012")
    assert client.run("SELECT count(*) FROM numbers", within_s=5) == [(0,)]


def test_a_statement_longer_than_a_socket_holds_arrives_and_so_does_its_answer(client):
    text = "x" * 20_000_000
    assert client.run("SELECT %s::text", (text,), within_s=30) == [(text,)]
