"""Asking a real Sentinel, over TLS and as a named user."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator

import pytest

from halab.clients.redis import SentinelEndpoint, SentinelError
from halab.inventory import RedisGroup, RedisMember
from halab.waiting import eventually

TLS = """\
port 0
tls-port {port}
bind 127.0.0.1
dir {folder}
tls-cert-file {tls.cert_file}
tls-key-file {tls.key_file}
tls-ca-cert-file {tls.ca_file}
tls-auth-clients yes
user default reset off
user admin reset on >secret ~* &* +@all
"""


@pytest.fixture
def sentinel(program, scratch, tls, loopback, free_port) -> Iterator[tuple[subprocess.Popen[bytes], RedisMember]]:
    binary = program("redis-server", package="redis-server")
    member = RedisMember(loopback, free_port(), free_port())
    configuration = TLS.format(port=member.sentinel_port, folder=scratch, tls=tls) + (
        f"tls-replication yes\nsentinel monitor main 127.0.0.1 {member.port} 1\n"
    )
    (scratch / "sentinel.conf").write_text(configuration)
    with (scratch / "log").open("w") as log:
        process = subprocess.Popen([binary, "sentinel.conf", "--sentinel"], cwd=scratch, stdout=log, stderr=log)
    yield process, member
    process.send_signal(signal.SIGCONT)
    process.terminate()
    process.wait(10)


def group_of(member: RedisMember, *, name: str = "main", password: str = "secret") -> RedisGroup:
    return RedisGroup((member,), name, "admin", password)


def test_the_master_that_a_sentinel_follows(sentinel, tls):
    _, member = sentinel
    endpoint = SentinelEndpoint(group_of(member), member, tls, within_s=1)
    assert eventually(endpoint.master, within_s=10, what="the Sentinel") == ("127.0.0.1", member.port)
    endpoint.close()


@pytest.mark.parametrize(
    ("change", "word"), [({"name": "other"}, "other"), ({"password": "wrong"}, "invalid username-password pair")]
)
def test_what_a_sentinel_refuses(sentinel, tls, change, word):
    _, member = sentinel
    healthy = SentinelEndpoint(group_of(member), member, tls, within_s=1)
    eventually(healthy.master, within_s=10, what="the Sentinel")
    healthy.close()
    endpoint = SentinelEndpoint(group_of(member, **change), member, tls, within_s=1)
    with pytest.raises(SentinelError, match=word) as caught:
        endpoint.master()
    assert "wrong" not in str(caught.value).replace("WRONGPASS", "")
    endpoint.close()


def test_a_frozen_sentinel_costs_its_deadline_once(sentinel, tls):
    process, member = sentinel
    endpoint = SentinelEndpoint(group_of(member), member, tls, within_s=0.5)
    eventually(endpoint.master, within_s=10, what="the Sentinel")
    os.kill(process.pid, signal.SIGSTOP)
    started = time.monotonic()
    with pytest.raises(SentinelError):
        endpoint.master()
    assert time.monotonic() - started < 1.2
    endpoint.close()


def test_a_dead_sentinel_is_known_at_once(tls, loopback):
    member = RedisMember(loopback, 1, 1)
    started = time.monotonic()
    with pytest.raises(SentinelError, match=r"127.0.0.1:1"):
        SentinelEndpoint(group_of(member), member, tls, within_s=2).master()
    assert time.monotonic() - started < 1
