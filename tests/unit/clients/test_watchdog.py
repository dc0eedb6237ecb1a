"""The watchdog, in a process of its own as in a load: a call that it fails to end holds only that."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "src"
PROGRAM = """
import json, os, pickle, signal, sys, time
from halab.clients.guard import Watchdog
from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection
target, freeze = pickle.loads(bytes.fromhex(sys.stdin.readline()))
watchdog = Watchdog()
connection = Connection(target, guard=watchdog)
def told(act):
    began = time.monotonic()
    try:
        found = act()
    except OperationFailed as error:
        found = [error.outcome, error.error_class, error.reached]
    print(json.dumps([found, time.monotonic() - began]), flush=True)
    sys.stdin.readline()
"""


class Client:
    """The other process, which does one thing after another."""

    def __init__(self, target: Any, program: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM + program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(SOURCE)},
        )  # fmt: skip
        self._say(pickle.dumps((target, None)).hex())

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def told(self) -> tuple[Any, float]:
        assert self._process.stdout is not None
        found, seconds = json.loads(self._process.stdout.readline())
        return found, seconds

    def go_on(self) -> None:
        self._say("")

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def client(postgres):
    started: list[Client] = []

    def start(program: str) -> Client:
        started.append(Client(postgres.target(), program))
        return started[-1]

    yield start
    for each in started:
        each.end()


def test_a_frozen_server_ends_an_operation_at_its_deadline_and_the_client_goes_on(client):
    other = client(
        "told(lambda: connection.run('SELECT pg_backend_pid()', within_s=5))\n"
        "told(lambda: connection.run('SELECT 1', within_s=1))\n"
        "told(lambda: connection.run('SELECT 2', within_s=5))\n"
    )
    [[pid]], _ = other.told()
    os.kill(pid, signal.SIGSTOP)
    try:
        other.go_on()
        found, seconds = other.told()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert found == ["info", "deadline", True]
    assert 0.9 < seconds < 1.6
    other.go_on()
    assert other.told()[0] == [[2]]


def test_a_server_that_does_not_answer_a_connect_is_given_up_at_the_deadline(client, postgres):
    os.kill(postgres.pid, signal.SIGSTOP)
    try:
        other = client("told(lambda: connection.run('SELECT 1', within_s=1))\n")
        found, seconds = other.told()
    finally:
        os.kill(postgres.pid, signal.SIGCONT)
    assert found == ["fail", "connect-deadline", False]
    assert 0.9 < seconds < 1.6


def test_what_was_not_late_is_left_alone(client):
    other = client(
        "told(lambda: connection.run('SELECT 1 FROM pg_sleep(0.5)', within_s=0.9))\n"
        "told(lambda: connection.run('SELECT pg_backend_pid()', within_s=0.2))\n"
        "time.sleep(0.4)\n"
        "told(lambda: connection.run('SELECT pg_backend_pid()', within_s=0.2))\n"
    )
    assert other.told()[0] == [[1]]
    other.go_on()
    [[first]], _ = other.told()
    other.go_on()
    [[second]], _ = other.told()
    assert first == second
