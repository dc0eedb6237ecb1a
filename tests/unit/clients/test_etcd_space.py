"""What a real member of etcd says, and does, of writes that are under way when its quota of space is used up."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from functools import partial

import pytest

from halab.clients.etcd_channel import Channel, Login
from halab.clients.etcd_data import EtcdData, put_of
from halab.clients.outcome import OperationFailed
from halab.inventory import EtcdMember
from halab.waiting import eventually

CLIENTS = 40
QUOTA_BYTES = 2_000_000
VALUE = "x" * 20_000


@pytest.fixture
def member(program, free_port, loopback, tmp_path) -> Iterator[EtcdMember]:
    """It writes what it applies at once, so that every request sees how much space there is."""
    binary = program("etcd", package="etcd-server")
    port, peer = free_port(), free_port()
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [
                binary, "--name", "node1", "--data-dir", str(tmp_path / "data"),
                "--quota-backend-bytes", str(QUOTA_BYTES), "--backend-batch-limit", "1",
                "--listen-client-urls", f"http://127.0.0.1:{port}", "--advertise-client-urls", f"http://127.0.0.1:{port}",
                "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                "--initial-cluster", f"node1=http://127.0.0.1:{peer}",
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    member = EtcdMember(loopback, port, tls=False)
    try:
        eventually(lambda: client(member).get("/", within_s=2), within_s=20, what="etcd")
        yield member
    finally:
        process.kill()
        process.wait(10)


def client(member: EtcdMember) -> EtcdData:
    return EtcdData(Channel(member, None, Login("")))


def test_what_was_under_way_when_the_space_ran_out_is_refused_and_done(member):
    refused: dict[str, str] = {}
    threads = [threading.Thread(target=_fill, args=(member, number, refused)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == CLIENTS
    assert {words.partition(": ")[2] for words in refused.values()} == {"etcdserver: mvcc: database space exceeded"}
    reader = client(member)
    done = {key: words for key, words in refused.items() if reader.get(key, within_s=5).item}
    reader.close()
    assert done, "etcd has learned to refuse before it applies"
    assert {words.partition(" ")[0] for words in done.values()} == {"info"}


def _fill(member: EtcdMember, number: int, refused: dict[str, str]) -> None:
    """Put, every second client by a transaction, until it is refused."""
    own = client(member)
    for count in range(1000):
        key = f"/{number}-{count}"
        put = partial(own.transaction, [], [put_of(key, VALUE)]) if number % 2 else partial(own.put, key, VALUE)
        try:
            put(within_s=10)
        except OperationFailed as error:
            refused[key] = f"{error.outcome} {error}"
            break
    own.close()
