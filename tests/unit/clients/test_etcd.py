"""A real etcd with client certificates and users, through its JSON gateway."""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from halab.clients.etcd import EtcdEndpoint
from halab.clients.http import HttpError, JsonEndpoint, client_context
from halab.inventory import EtcdCluster, EtcdMember
from halab.waiting import eventually

PASSWORD = "etcd-secret"


@pytest.fixture(scope="module")
def etcd(program, tls, free_port, tmp_path_factory) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    binary = program("etcd", package="etcd-server")
    folder = tmp_path_factory.mktemp("etcd")
    port, peer = free_port(), free_port()
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [
                binary, "--name", "node1", "--data-dir", str(folder / "data"), "--client-cert-auth",
                "--listen-client-urls", f"https://127.0.0.1:{port}", "--advertise-client-urls", f"https://127.0.0.1:{port}",
                "--listen-peer-urls", f"http://127.0.0.1:{peer}", "--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}",
                "--initial-cluster", f"node1=http://127.0.0.1:{peer}", "--trusted-ca-file", str(tls.ca_file),
                "--cert-file", str(tls.cert_file), "--key-file", str(tls.key_file),
            ],
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        _enable_users(JsonEndpoint("127.0.0.1", port, client_context(tls)))
        yield process, port
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(10)


def _enable_users(http: JsonEndpoint) -> None:
    def post(path: str, **body: object) -> int:
        return http.call("POST", path, body=body, within_s=5)[0]

    eventually(lambda: post("/v3/maintenance/status") == 200, within_s=20, what="etcd")
    assert post("/v3/auth/user/add", name="root", password=PASSWORD) == 200
    assert post("/v3/auth/role/add", name="root") == 200
    assert post("/v3/auth/user/grant", user="root", role="root") == 200
    for number in range(3):
        key = base64.b64encode(f"/service/main/key{number}".encode()).decode()
        assert post("/v3/kv/put", key=key, value=base64.b64encode(b"value%d" % number).decode()) == 200
    assert post("/v3/auth/enable") == 200
    http.close()


@pytest.fixture
def client(etcd, tls, loopback) -> Iterator[Callable[..., EtcdEndpoint]]:
    made: list[EtcdEndpoint] = []

    def make(password: str = PASSWORD) -> EtcdEndpoint:
        member = EtcdMember(loopback, etcd[1])
        made.append(EtcdEndpoint(EtcdCluster((member,), password), member, client_context(tls)))
        return made[-1]

    yield make
    for endpoint in made:
        endpoint.close()


def test_a_single_member_leads_itself(client):
    status = client().status(within_s=5)
    assert status.is_leader
    assert status.leader_id == status.member_id
    assert status.term >= 2
    assert status.revision >= 4
    assert status.version.startswith("3.")


def test_members_by_id(client):
    endpoint = client()
    assert endpoint.members(linearizable=True, within_s=5) == {endpoint.status(within_s=5).member_id: "node1"}


@pytest.mark.parametrize("serializable", [True, False])
def test_keys_are_read_as_user_root(client, serializable):
    endpoint = client()
    found = endpoint.prefix("/service/main/", serializable=serializable, within_s=5)
    assert [(item.key, item.value) for item in found] == [(f"/service/main/key{n}", f"value{n}") for n in range(3)]
    one = endpoint.get("/service/main/key1", serializable=serializable, within_s=5)
    assert one == found[1]
    assert one.mod_revision == 3
    assert endpoint.get("/service/main/none", serializable=serializable, within_s=5) is None


def test_a_wrong_password_is_refused_and_not_repeated(client):
    with pytest.raises(HttpError, match=r"refuses user root") as caught:
        client("not-this-one").get("/x", serializable=True, within_s=5)
    assert "not-this-one" not in str(caught.value)


def test_a_frozen_member_costs_its_deadline(etcd, client):
    endpoint = client()
    endpoint.status(within_s=5)
    os.kill(etcd[0].pid, signal.SIGSTOP)
    try:
        for _ in range(2):  # once on an open connection, once while connecting
            started = time.monotonic()
            with pytest.raises(HttpError, match=r"within 0.5 s"):
                endpoint.status(within_s=0.5)
            assert time.monotonic() - started < 1.3
    finally:
        os.kill(etcd[0].pid, signal.SIGCONT)
    assert endpoint.status(within_s=5).is_leader
