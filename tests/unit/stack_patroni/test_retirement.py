"""How a member leaves Patroni: in order, only once, and never with PostgreSQL stopped under a Patroni that runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.halab.stack.plugins.module_utils import patroni_dcs, patroni_retire
from ansible_collections.halab.stack.plugins.module_utils.patroni_api import PatroniError, Status
from ansible_collections.halab.stack.plugins.module_utils.patroni_dcs import Dcs
from ansible_collections.halab.stack.plugins.module_utils.patroni_retire import Retirement

ENDPOINTS = ["https://w1:8008", "https://w2:8008"]


class Host:
    """A member's host and its cluster's keys: what was done to them, in order."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "config.yml"
        self.file.touch()
        self.patroni, self.postgresql, self.paused = True, True, False
        self.keys = {"leader": "w1", "members/w1": "{}", "config": "{}"}
        self.done: list[str] = []

    def run(self, words: Sequence[str]) -> tuple[int, str, str]:
        if words[0] == "systemctl":
            if words[1] == "is-active":
                return (0, "active", "") if self.patroni else (3, "inactive", "")
            self.patroni = False
            # The leases of a Patroni that ends run out.
            self.keys.pop("leader", None)
            self.keys.pop("members/w1", None)
        elif "status" in words:
            return (0, "", "") if self.postgresql else (3, "", "")
        elif "stop" in words:
            self.postgresql = False
        self.done.append(" ".join(word for word in words if word in ("disable", "stop", "--now")))
        return 0, "", ""

    def statuses(self, endpoints: Sequence[str]) -> list[Status]:
        answer = {
            "role": "primary",
            "state": "running",
            "patroni": {"name": "w1"},
            **({"pause": True} if self.paused else {}),
        }
        return [Status(endpoints[0], answer=answer), Status(endpoints[1], "Connection refused")]

    def send(self, method: str, endpoint: str, path: str, body: dict[str, Any]) -> str:
        assert (method, endpoint, path, body) == ("PATCH", ENDPOINTS[0], "/config", {"pause": True})
        self.paused = True
        self.done.append("pause")
        return ""

    def call(self, path: str) -> dict[str, Any]:
        if path == "/v3/kv/deleterange":
            self.keys.clear()
            self.done.append("keys")
        found = [{"key": patroni_dcs._encoded(f"/service/main/3/{key}".encode())} for key in self.keys]
        return {"kvs": found}

    def retirement(self, *, check_mode: bool = False) -> Retirement:
        parameters = {
            "configuration_file": str(self.file), "endpoints": ENDPOINTS, "service": "patroni", "within_s": 1.0,
            "bin_directory": "/bin", "data_directory": "/data", "system_user": "postgres",
        }  # fmt: skip
        return Retirement(parameters, self.run, check_mode=check_mode)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    found = Host(tmp_path)
    monkeypatch.setattr(patroni_retire.Api, "of", lambda _: found)
    monkeypatch.setattr(Dcs, "of", lambda _: Dcs((), "patroni-main", "", "/service/main/3/"))
    monkeypatch.setattr(Dcs, "_call", lambda _, path, **_limit: found.call(path))
    return found


def test_it_is_paused_before_patroni_stops_and_the_keys_go_last(host: Host) -> None:
    assert host.retirement().detach() == ["paused", "stopped patroni", "removed the keys"]
    assert host.done == ["pause", "disable --now", "keys"]
    assert host.postgresql, "PostgreSQL goes on, so that others can say good-bye to it"
    assert host.retirement().detach() == []


def test_it_is_stopped_only_then(host: Host) -> None:
    with pytest.raises(PatroniError, match="would start PostgreSQL again"):
        host.retirement().stop()
    host.retirement().detach()
    assert host.retirement().stop() == ["stopped PostgreSQL", f"removed {host.file}"]
    assert not host.postgresql
    assert not host.file.exists()
    assert host.retirement().stop() == []
    assert host.retirement().detach() == [], "a host that is no member any more has nothing to detach"


def test_check_mode_says_all_and_does_nothing(host: Host) -> None:
    assert host.retirement(check_mode=True).detach() == ["paused", "stopped patroni", "removed the keys"]
    assert host.retirement(check_mode=True).stop() == ["stopped PostgreSQL", f"removed {host.file}"]
    assert host.done == []
    assert host.file.exists()


def test_keys_of_a_member_that_lives_are_not_removed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.patroni = False
    with pytest.raises(PatroniError, match=r"run out; last seen: leader, members/w1"):
        host.retirement().detach()
    assert host.keys


def test_a_group_has_keys_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patroni_dcs.Client, "connectable", lambda **_: object())
    given = {
        "ca_file": "", "cert_file": "", "key_file": "", "deadline_s": 1.0, "namespace": "/service/", "scope": "main",
        "etcd_endpoints": [], "etcd_username": "", "etcd_password": "",
    }  # fmt: skip
    assert Dcs.of({**given, "group": "3"}).prefix == "/service/main/3/"
    assert Dcs.of({**given, "group": ""}).prefix == "/service/main/"
