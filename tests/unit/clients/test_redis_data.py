"""The outcomes of commands on a real Redis server, over TLS and as a named user."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from halab.clients.outcome import OperationFailed
from halab.clients.redis_data import RedisData
from halab.inventory import RedisGroup, RedisMember
from halab.waiting import eventually

SETTINGS = """\
port 0
tls-port {port}
bind 127.0.0.1
dir {folder}
save ""
tls-cert-file {tls.cert_file}
tls-key-file {tls.key_file}
tls-ca-cert-file {tls.ca_file}
tls-auth-clients yes
user default reset off
user admin reset on >secret ~* &* +@all
"""


@pytest.fixture
def server(program, scratch, tls, loopback, free_port) -> Iterator[tuple[subprocess.Popen[bytes], RedisData]]:
    """A server without a Sentinel, and a connection to it."""
    binary = program("redis-server", package="redis-server")
    member = RedisMember(loopback, free_port(), free_port())
    (scratch / "redis.conf").write_text(SETTINGS.format(port=member.port, folder=scratch, tls=tls))
    with (scratch / "log").open("w") as log:
        process = subprocess.Popen([binary, "redis.conf"], cwd=scratch, stdout=log, stderr=log)
    data = RedisData(RedisGroup((member,), "main", "admin", "secret"), tls, at=("127.0.0.1", member.port))
    eventually(lambda: data.run("PING", within_s=1), within_s=10, what="Redis")
    yield process, data
    data.close()
    process.send_signal(signal.SIGCONT)
    process.kill()
    process.wait(10)


def failure(data: RedisData, *commands: tuple[str | int, ...], within_s: float = 1) -> OperationFailed:
    with pytest.raises(OperationFailed) as caught:
        data.run_all(commands, within_s=within_s)
    return caught.value


def test_answers_come_in_order_and_say_by_whom(server):
    _, data = server
    assert data.run_all([("SET", "a", 1), ("INCR", "a"), ("GET", "a")], within_s=1) == [b"OK", 2, b"2"]
    assert data.run("INCR", "a", within_s=1) == 3
    assert (data.who().address, len(data.who().run_id)) == ("127.0.0.1", 40)


def test_what_the_server_refuses_did_not_happen(server):
    _, data = server
    data.run("SET", "a", "word", within_s=1)
    error = failure(data, ("INCR", "a"), ("SET", "b", 1))
    assert (error.outcome, error.reached) == ("fail", True)
    assert data.run("GET", "a", within_s=1) == b"word"


def test_an_error_after_the_first_command_leaves_it_unknown(server):
    _, data = server
    data.run("SET", "a", "word", within_s=1)
    assert failure(data, ("SET", "b", 1), ("INCR", "a")).outcome == "info"
    assert data.run("GET", "b", within_s=1) == b"1"


def test_a_replica_and_a_lonely_master_are_the_wrong_place(server):
    _, data = server
    data.run("CONFIG", "SET", "min-replicas-to-write", 1, within_s=1)
    error = failure(data, ("SET", "a", 1))
    assert (error.outcome, error.reached, "NOREPLICAS" in error.text) == ("fail", False, True)
    data.run("REPLICAOF", "127.0.0.1", 1, within_s=1)
    error = failure(data, ("SET", "a", 1))
    assert (error.outcome, error.reached, "ReadOnly" in error.text) == ("fail", False, True)


def test_a_frozen_server_leaves_an_unknown_at_the_deadline_and_a_new_connection_fails(server):
    process, data = server
    os.kill(process.pid, signal.SIGSTOP)
    for outcome, reached in (("info", True), ("fail", False)):
        began = time.monotonic()
        error = failure(data, ("SET", "a", 1), within_s=0.5)
        assert (error.outcome, error.reached) == (outcome, reached)
        assert 0.4 < time.monotonic() - began < 1.5
    os.kill(process.pid, signal.SIGCONT)
    assert eventually(lambda: data.run("GET", "a", within_s=1), within_s=5, what="the write") == b"1"


def test_a_connection_that_was_closed_meanwhile_is_replaced(server):
    _, data = server
    other = RedisData(data._group, data._tls, at=data._at)
    other.run("CLIENT", "KILL", "TYPE", "normal", within_s=1)
    other.close()
    time.sleep(0.1)
    assert data.run("SET", "a", 1, within_s=1) == b"OK"


def test_a_server_that_dies_in_between_leaves_an_unknown(server):
    process, data = server
    error = failure(data, ("SET", "a", 1), ("SHUTDOWN", "NOSAVE"))
    assert (error.outcome, error.error_class) == ("info", "connection-lost")
    process.wait(10)
    assert failure(data, ("SET", "a", 1)).outcome == "fail"


def test_without_a_sentinel_nothing_was_done(tls, loopback):
    group = RedisGroup((RedisMember(loopback, 1, 1),), "main", "admin", "secret")
    error = failure(RedisData(group, tls), ("SET", "a", 1))
    assert (error.outcome, error.reached, error.error_class) == ("fail", False, "no-sentinel")
    assert "secret" not in str(error)
