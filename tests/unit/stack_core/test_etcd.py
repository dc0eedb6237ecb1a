"""What the etcd modules decide before they speak to etcd, and what they say when nobody answers."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.halab.stack.plugins.module_utils import etcd_unit
from ansible_collections.halab.stack.plugins.module_utils.etcd import (
    EtcdError,
    EtcdUnavailableError,
    eventually,
    quorum,
)
from ansible_collections.halab.stack.plugins.module_utils.http import Client
from ansible_collections.halab.stack.plugins.modules import etcd_auth, etcd_data, etcd_info, etcd_member


@pytest.fixture
def client(certificates: Path) -> Client:
    """Return a client with the certificate of the controller."""
    names = {"ca_file": "ca.crt", "cert_file": "client.crt", "key_file": "client.key"}
    return Client.connectable(**{option: str(certificates / name) for option, name in names.items()})


@pytest.fixture
def silent_port() -> Iterator[int]:
    """Return a port that takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    ("prefix", "end"), [("/service/main/", b"/service/main0"), ("a", b"b"), ("a\x7f", b"a\x80"), ("/é", b"/\xc3\xaa")]
)
def test_a_role_ends_where_its_prefix_ends(prefix: str, end: bytes) -> None:
    bounds = {name: base64.b64decode(text) for name, text in etcd_auth.key_range(prefix).items()}
    assert bounds == {"key": prefix.encode(), "range_end": end}


@pytest.mark.parametrize(
    ("users", "says"),
    [
        ([{"name": "root", "password": "x", "prefix": "/"}], "root is there 2 times"),
        ([{"name": "a", "password": "x", "prefix": "/"}] * 2, "a is there 2 times"),
        ([{"name": "a", "password": "x", "prefix": ""}], "a needs a prefix"),
        ([{"name": "a", "password": "", "prefix": "/"}], "a needs a prefix and a password"),
    ],
)
def test_users_that_cannot_be_are_refused(users: list[dict[str, str]], says: str) -> None:
    assert says in str(etcd_auth.refusal(users))


def test_users_that_can_be_are_taken() -> None:
    assert etcd_auth.refusal([{"name": "patroni", "password": "x", "prefix": "/service/main/"}]) is None


def test_a_quorum_is_more_than_half() -> None:
    assert [quorum(members) for members in (1, 3, 4, 5)] == [1, 2, 3, 3]


def test_members_that_do_not_answer_are_part_of_the_result(client: Client, silent_port: int) -> None:
    members = [{"name": "a", "address": "127.0.0.1"}, {"name": "b", "address": "::1"}]
    began = time.monotonic()
    found = etcd_info.observe(client, {"members": members, "port": silent_port, "tls": True, "deadline_s": 0.3})
    assert time.monotonic() - began < 5
    assert (found["leader"], found["quorum"], found["members"]) == ("", False, [])
    assert [one["name"] for one in found["endpoints"]] == ["a", "b"]
    assert "no answer within 0.3 s" in found["endpoints"][0]["error"]
    assert not any(one["healthy"] or one["leader"] or one["term"] for one in found["endpoints"])


def test_waiting_ends_with_the_last_reason() -> None:
    reasons = iter(range(10**6))

    def attempt() -> None:
        raise EtcdUnavailableError(f"reason {next(reasons)}")

    with pytest.raises(EtcdUnavailableError, match=r"reason [1-9]"):
        eventually(attempt, within_s=0.2, pause_s=0.02)


def test_waiting_does_not_repeat_what_was_refused() -> None:
    attempts: list[int] = []

    def attempt() -> None:
        attempts.append(1)
        raise EtcdError("permission denied")

    with pytest.raises(EtcdError, match="permission denied"):
        eventually(attempt, within_s=5)
    assert attempts == [1]


def test_a_directory_of_another_cluster_is_refused(tmp_path: Path) -> None:
    assert etcd_data.refusal(tmp_path / "none", "main") is None
    assert etcd_data.refusal(tmp_path, "main") is None
    (tmp_path / "member").mkdir()
    assert "whose token is not known" in str(etcd_data.refusal(tmp_path, "main"))
    (tmp_path / "cluster-token").write_text("main\n", "utf-8")
    assert etcd_data.refusal(tmp_path, "main") is None
    assert "set etcd_cluster_token to main" in str(etcd_data.refusal(tmp_path, "other"))


def test_settings_are_compared_as_systemd_reads_them() -> None:
    file = ["# comment", "", "ETCD_NAME=a", 'ETCD_INITIAL_CLUSTER="a=https://x:1,b=https://y:1"', "OTHER=1"]
    process = ["ETCD_NAME=a", "ETCD_INITIAL_CLUSTER=a=https://x:1,b=https://y:1", "PATH=/bin", ""]
    assert etcd_member.settings(file) == etcd_member.settings(process)


def test_the_journal_is_read_for_trouble_only() -> None:
    assert etcd_unit.trouble('{"level":"info","msg":"all is well"}') == ""
    assert etcd_unit.trouble('{"level":"fatal","msg":"no","error":"bad disk","stacktrace":"x"}') == "no: bad disk"
    assert etcd_unit.trouble("etcd.service: Failed with result 'exit-code'.") == (
        "etcd.service: Failed with result 'exit-code'."
    )
