"""Clients of a hub on a real server: what one waits for holds up no other, and ends at its deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest
from tests.unit.clients.freezing import frozen

from halab.bench.scratch import Server
from halab.clients.hub import Hub, Stopped
from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection
from halab.waiting import Deadline

Act = Callable[[], None]


@pytest.fixture
def stop() -> threading.Event:
    return threading.Event()


@pytest.fixture
def hub(stop: threading.Event) -> Hub:
    return Hub(stop)


def run(hub: Hub, *acts: Act) -> None:
    for act in acts:
        hub.spawn(act)
    hub.run()


class Told:
    """What a call ended with, and after how many seconds."""

    def __init__(self, act: Callable[[], object]) -> None:
        began = time.monotonic()
        self.found: object
        try:
            self.found = act()
        except OperationFailed as error:
            self.found = (error.outcome, error.error_class, error.reached)
        self.seconds = time.monotonic() - began


class Busy:
    """A client that never stops asking, for as long as the other has not ended."""

    def __init__(self, server: Server, hub: Hub) -> None:
        self._connection = Connection(server.target(), guard=hub)
        self.asked = 0
        self.ended = False

    def act(self) -> None:
        deadline = Deadline.after(20)
        while not (self.ended or deadline.expired):
            assert self._connection.run("SELECT 1", within_s=5) == [(1,)]
            self.asked += 1
        self._connection.close()


def test_a_frozen_server_ends_an_operation_at_its_deadline_and_the_others_go_on(postgres: Server, hub: Hub) -> None:
    connection, busy, told = Connection(postgres.target(), guard=hub), Busy(postgres, hub), []

    def act() -> None:
        [(pid,)] = connection.run("SELECT pg_backend_pid()", within_s=5)
        asked = busy.asked
        with frozen(pid):
            told.append(Told(lambda: connection.run("SELECT 1", within_s=1)))
        told.append(Told(lambda: connection.run("SELECT 2", within_s=5)))
        assert busy.asked > asked + 20
        busy.ended = True
        connection.close()

    run(hub, act, busy.act)
    assert [one.found for one in told] == [("info", "deadline", True), [(2,)]]
    assert 0.9 < told[0].seconds < 1.6


def test_a_server_that_does_not_answer_a_connect_is_given_up_at_the_deadline(postgres: Server, hub: Hub) -> None:
    told = []

    def act() -> None:
        told.append(Told(lambda: Connection(postgres.target(), guard=hub).run("SELECT 1", within_s=1)))

    with frozen(postgres.pid):
        run(hub, act, act)
    assert [one.found for one in told] == [("fail", "connect-deadline", False)] * 2
    assert all(0.9 < one.seconds < 1.6 for one in told), "both wait at once"


def test_what_was_not_late_is_left_alone(postgres: Server, hub: Hub) -> None:
    pids = []

    def act() -> None:
        connection = Connection(postgres.target(), guard=hub)
        for within_s in (5.0, 0.5):
            pids.append(connection.run("SELECT pg_backend_pid() FROM pg_sleep(0.1)", within_s=within_s))
            hub.sleep(0.6)
        pids.append(connection.run("SELECT pg_backend_pid()", within_s=1))
        connection.close()

    run(hub, act)
    assert pids[0] == pids[1] == pids[2]


def test_connections_that_come_and_go_are_waited_for_each(postgres: Server, hub: Hub) -> None:
    """Descriptors are numbers that are used again."""
    answers = []

    def act() -> None:
        connection = Connection(postgres.target(), guard=hub)
        for number in range(15):
            answers.extend(connection.run("SELECT %s", (number,), within_s=10))
            connection.close()

    run(hub, act, act, act)
    assert sorted(answers) == sorted((number,) for number in range(15) for _ in range(3))


def test_a_statement_longer_than_a_socket_holds_arrives(postgres: Server, hub: Hub) -> None:
    text, lengths, busy = "x" * 10_000_000, [], Busy(postgres, hub)

    def act() -> None:
        connection = Connection(postgres.target(), guard=hub)
        lengths.extend(connection.run("SELECT length(%s)", (text,), within_s=30))
        connection.close()
        busy.ended = True

    run(hub, act, busy.act)
    assert lengths == [(len(text),)]


def test_those_who_sleep_wake_when_all_are_to_stop(hub: Hub, stop: threading.Event) -> None:
    stopped, seen = Stopped(hub, stop), []
    timer = threading.Timer(0.3, stop.set)
    began = time.monotonic()
    timer.start()
    run(hub, lambda: seen.append(stopped.wait(30)), lambda: seen.append(stopped.wait(0.05)))
    timer.join()
    assert seen == [False, True]
    assert time.monotonic() - began < 10


def test_a_session_that_ends_while_nobody_asks_costs_nothing_and_is_replaced(postgres: Server, hub: Hub) -> None:
    connection, pids, spent = Connection(postgres.target(), guard=hub), [], []

    def act() -> None:
        pids.extend(connection.run("SELECT pg_backend_pid()", within_s=5))
        began = time.thread_time()
        hub.sleep(1.0)
        spent.append(time.thread_time() - began)
        pids.extend(connection.run("SELECT pg_backend_pid()", within_s=5))

    def end() -> None:
        other = Connection(postgres.target(), guard=hub)
        hub.sleep(0.2)
        other.run("SELECT pg_terminate_backend(%s, 5000)", pids[0], within_s=10)
        other.close()

    run(hub, act, end)
    assert len(set(pids)) == 2
    assert spent[0] < 0.5, "the hub did not turn round and round"


def test_what_a_client_raises_ends_all(postgres: Server, hub: Hub) -> None:
    busy = Busy(postgres, hub)

    def act() -> None:
        Connection(postgres.target(), guard=hub).run("SELECT 1", within_s=5)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(hub, act, busy.act)


def test_a_thread_of_its_own_may_use_the_hub_too(postgres: Server, hub: Hub) -> None:
    connection = Connection(postgres.target(), guard=hub)
    [(pid,)] = connection.run("SELECT pg_backend_pid()", within_s=5)
    with frozen(pid):
        told = Told(lambda: connection.run("SELECT 1", within_s=0.5))
    assert told.found == ("info", "deadline", True)
