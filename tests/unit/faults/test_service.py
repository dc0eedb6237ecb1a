"""The module service: what can be refused without a machine to break."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.halab.faults.plugins.module_utils import service_agent, service_plan, service_units
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError
from ansible_collections.halab.faults.plugins.module_utils.service_units import Unit, reason_against, seconds

UNITS = "ansible_collections.halab.faults.plugins.module_utils.service_units"
Known = dict[str, dict[str, str]]


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> Known:
    """Units that systemd is said to have; the answers are those of `systemctl show`."""
    known: Known = {}

    def add(name: str, **properties: str) -> None:
        known[name] = {
            "LoadState": "loaded", "Id": name, "ActiveState": "active", "MainPID": "77", "Transient": "no",
            "FragmentPath": f"/usr/lib/systemd/system/{name}", "TimeoutStartUSec": "1min 30s", **properties,
        }  # fmt: skip

    def ask(unit: str, *_names: str) -> dict[str, str]:
        found = known.get(unit) or known.get(f"{unit}.service")
        if found is None:
            raise FaultError(f"unit = {unit!r}: systemd does not know it.")
        return found

    add("victim.service", RequiredBy="follower.service idle.service")
    add("follower.service", BoundBy="last.service")
    add("last.service")
    add("idle.service", ActiveState="inactive")
    add("dead.service", ActiveState="failed")
    add("gone.service", ActiveState="inactive", LoadState="masked")
    add("ssh.service")
    add("basis.service", RequiredBy="ssh.service")
    add("passing.service", Transient="yes")
    add("own.service", FragmentPath="/etc/systemd/system/own.service")
    add("local.mount")
    monkeypatch.setattr(f"{UNITS}.has_systemd", lambda: True)
    monkeypatch.setattr(f"{UNITS}.unit_properties", ask)
    monkeypatch.setattr(f"{UNITS}.os.geteuid", lambda: 0)
    return known


@pytest.fixture
def parameters(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def build(**changes: Any) -> dict[str, Any]:
        return {
            "state": "injected", "id": "drill-1", "ttl": 60, "ledger_dir": str(tmp_path / "ledger"), "cluster": "",
            "run": "", "kind": "stop", "unit": "victim", "seconds": None, "restart": False, "observed_within": 10,
            "gone_within": 60, **changes,
        }  # fmt: skip

    return build


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"unit": "nonesuch"}, "does not know it"),
        ({"unit": "--force"}, "is not the name of a unit"),
        ({"unit": ""}, "is not the name of a unit"),
        ({"unit": "a b"}, "is not the name of a unit"),
        ({"unit": "idle"}, "is inactive, so there is nothing to break"),
        ({"unit": "dead"}, "is failed"),
        ({"unit": "gone"}, "is inactive and masked"),
        ({"unit": "ssh"}, "without it the machine cannot be reached"),
        ({"unit": "basis"}, "ssh.service stops with it"),
        ({"unit": "passing"}, "is transient"),
        ({"unit": "local.mount"}, "is no service, socket or timer"),
        ({"unit": "own", "kind": "mask"}, "/etc/systemd/system/own.service takes the place of a mask"),
        ({"kind": "slow_start", "unit": "local.mount", "seconds": 1}, "is no service"),
        ({"kind": "slow_start", "seconds": 90}, "must start within 90 s"),
        ({"kind": "slow_start", "seconds": 3601}, "seconds = 3601"),
        ({"kind": "slow_start", "seconds": -1}, "seconds = -1"),
        ({"kind": "slow_start"}, "seconds = None"),
        ({"kind": "slow_start", "unit": "basis", "seconds": 1, "restart": True}, "ssh.service stops with it"),
        ({"seconds": 5}, "seconds = 5: belongs to kind: slow_start"),
        ({"restart": True}, "restart = True: belongs to kind: slow_start"),
        ({"observed_within": 0}, "observed_within = 0"),
        ({"gone_within": -5}, "gone_within = -5"),
    ],
    ids=str,
)
def test_refused(
    systemd: Known, parameters: Callable[..., dict[str, Any]], tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(FaultError, match=says):
        service_plan.plan_of(parameters(**changes))
    assert not (tmp_path / "ledger").exists()


def test_only_root(systemd: Known, parameters: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{UNITS}.os.geteuid", lambda: 1000)
    with pytest.raises(FaultError, match=r"only root may start it again.*become: true"):
        service_plan.plan_of(parameters())


def test_without_systemd(parameters: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{UNITS}.has_systemd", lambda: False)
    with pytest.raises(FaultError, match="systemd does not manage this machine"):
        service_plan.plan_of(parameters())


def test_the_heal_starts_whatever_stopped_with_it(systemd: Known, parameters: Callable[..., Any]) -> None:
    """Transitively, and only what ran."""
    plan = service_plan.plan_of(parameters())
    assert plan.inject == (("systemctl", "stop", "--", "victim.service"),)
    assert plan.undo[-1][-4:] == ("unit-start", "victim.service", "follower.service", "last.service")
    assert plan.target == "victim.service (stop)"


def test_kinds_of_one_unit_exclude_one_another(systemd: Known, parameters: Callable[..., Any]) -> None:
    claims = {
        service_plan.plan_of(parameters(**changes)).claim
        for changes in ({}, {"kind": "mask"}, {"kind": "slow_start", "seconds": 1})
    }
    assert claims == {"unit victim.service"}


def test_slow_start_writes_a_file_of_its_own(systemd: Known, parameters: Callable[..., Any]) -> None:
    plan = service_plan.plan_of(parameters(kind="slow_start", seconds=7))
    (inject,) = plan.inject
    assert inject[-4:-2] == ("/run/systemd/system/victim.service.d/halab-drill-1.conf", "victim.service")
    assert inject[-1] == "7"
    assert not plan.outlives_boot, "what is in /run ends with the boot"


@pytest.mark.parametrize(
    ("unit", "refused"),
    [
        ("ssh.service", True), ("sshd.service", True), ("ssh@1-2.service", True), ("ssh.socket", True),
        ("dbus.service", True), ("systemd-networkd.service", True), ("NetworkManager.service", True),
        ("halab-guardian-1.service", True), ("user@0.service", True),
        ("sshguard.service", False), ("etcd.service", False), ("patroni.service", False), ("haproxy.service", False),
    ],
)  # fmt: skip
def test_units_that_must_go_on(unit: str, refused: bool) -> None:
    assert bool(reason_against(unit)) is refused


@pytest.mark.parametrize(
    ("span", "expected"),
    [("1min 30s", 90.0), ("5s", 5.0), ("1h 2min", 3720.0), ("500ms", 0.5), ("infinity", None), ("", None)],
)
def test_time_spans(span: str, expected: float | None) -> None:
    assert seconds(span) == expected


@pytest.mark.parametrize(
    ("seen", "age_s", "expected"),
    [
        ({"ActiveState": "active", "SubState": "running"}, 0.0, True),
        ({"ActiveState": "reloading", "SubState": "reload"}, 0.0, True),
        ({"ActiveState": "active", "SubState": "running", "LoadState": "masked"}, 9.0, False),
        ({"ActiveState": "activating", "SubState": "start"}, 3.0, True),
        ({"ActiveState": "activating", "SubState": "start"}, 0.5, False),
        ({"ActiveState": "activating", "SubState": "auto-restart"}, 3.0, False),
        ({"ActiveState": "activating", "SubState": "start-pre"}, 3.0, False),
        ({"ActiveState": "deactivating", "SubState": "stop-sigterm"}, 3.0, False),
        ({}, 3.0, False),
    ],
)
def test_up(monkeypatch: pytest.MonkeyPatch, seen: dict[str, str], age_s: float, expected: bool) -> None:
    """One that starts counts once its main process lasts: a member of etcd waits for its quorum like that."""
    mine = {"MainPID": str(os.getpid()), **seen}
    monkeypatch.setattr(service_agent, "properties", lambda *_names: mine)
    monkeypatch.setattr(service_agent, "age_s", lambda _process: age_s)
    assert service_agent.is_up("x.service")[0] is expected


def test_a_delay_in_a_folder_of_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is taken away with the folder only when the folder was made for it and nothing else came into it."""
    monkeypatch.setattr(service_agent, "_reload", lambda: 0)
    commands = service_agent.COMMANDS
    delay = ["x.service", "/usr/bin/sleep", "7123"]
    for keep, stays in (("folder", True), ("nothing", False)):
        folder = tmp_path / keep
        file = str(folder / "halab-1.conf")
        assert commands["service-slow"]([file, *delay]) == 0
        assert "ExecStartPre=-+/usr/bin/sleep 7123" in Path(file).read_text()
        assert commands["service-swift"]([file, keep, *delay]) == 0
        assert commands["service-swift"]([file, keep, *delay]) == 0, "harmless when there is nothing to undo"
        assert folder.exists() is stays and not Path(file).exists()


def test_unit_is_what_systemd_says(systemd: Known) -> None:
    assert service_units.look("victim") == Unit(
        name="victim.service", active="active", main_pid=77, load="loaded", transient=False,
        file="/usr/lib/systemd/system/victim.service", start_timeout_s=90.0,
    )  # fmt: skip
