"""Wrong parameters and machines that cannot do it: refused by name, before anything changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.halab.faults.plugins.module_utils import (
    clockfault_machine,
    clockfault_plan,
    clockfault_program,
)
from ansible_collections.halab.faults.plugins.module_utils.clock import boot_id
from ansible_collections.halab.faults.plugins.module_utils.clockfault_plan import plan_of, skew_of
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError

Arguments = Callable[..., dict[str, Any]]
UNIT = {"Id": "redis-server.service", "MainPID": "1", "ActiveState": "active", "Environment": ""}


@pytest.fixture
def asked(tmp_path: Path) -> Arguments:
    """Parameters of the module, as Ansible would pass them."""

    def build(**changes: Any) -> dict[str, Any]:
        return {
            "state": "injected",
            "id": "drill-1",
            "ttl": 60,
            "ledger_dir": str(tmp_path / "ledger"),
            "cluster": "",
            "run": "",
            "kind": "step",
            "scope": "unit",
            "unit": "redis-server",
            "offset": None,
            "rate": None,
            "period": None,
            "time_command": [],
            "ready_command": [],
            "ready_within": 60,
            "controller_boot_id": "",
            **changes,
        }

    return build


@pytest.fixture
def systemd(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A machine with systemd, libfaketime and one service, whose properties a test may change."""
    found = dict(UNIT)
    monkeypatch.setattr(clockfault_program, "library", lambda: Path("/usr/lib/faketime/libfaketime.so.1"))
    monkeypatch.setattr(clockfault_program, "unreachable", lambda _pid: "")
    monkeypatch.setattr(clockfault_program, "root", lambda _pid: "/")
    monkeypatch.setattr(clockfault_plan, "has_systemd", lambda: True)
    monkeypatch.setattr(clockfault_plan, "unit_properties", lambda _unit, *_names: found)
    return found


@pytest.fixture
def own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that may set its clock. Plans are made here, never carried out."""
    monkeypatch.setattr(clockfault_plan, "require_capability", lambda *_a, **_k: None)
    monkeypatch.setattr(clockfault_plan, "run", lambda argv: (1, "none" if "--container" in argv else "inactive", ""))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, r"^offset: is missing, and kind=step"),
        ({"offset": "soon"}, r"^offset = 'soon': is not a span"),
        ({"offset": "1ms"}, r"^offset = '1ms': .*50ms"),
        ({"offset": "1h", "rate": 1.5}, r"^rate = 1.5: says nothing about kind=step"),
        ({"offset": "1h", "period": 1.0}, r"^period = 1.0: says nothing about kind=step"),
        ({"kind": "drift"}, r"^rate: is missing, and kind=drift"),
        ({"kind": "drift", "rate": 1.0}, r"^rate = 1.0: is not a speed"),
        ({"kind": "drift", "rate": 1.5, "offset": "1h"}, r"^offset = '1h': says nothing about kind=drift"),
        ({"kind": "strobe"}, r"^offset: is missing, and kind=strobe"),
        ({"kind": "strobe", "offset": "1s", "period": 0.0}, r"^period = 0.0: is not a span between"),
        ({"kind": "strobe", "offset": "1s", "rate": 2.0}, r"^rate = 2.0: says nothing about kind=strobe"),
    ],
)
def test_skews_that_are_refused(asked: Arguments, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(FaultError, match=named) as told:
        plan_of(asked(**changes))
    assert str(told.value).endswith("Nothing was changed.")


def test_a_strobe_has_a_period_of_its_own(asked: Arguments) -> None:
    assert skew_of(asked(kind="strobe", offset="1s")).period_s == 1.0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"unit": ""}, r"^unit: is missing"),
        ({"ready_within": 0}, r"^ready_within = 0"),
        ({"ready_command": ["no-such-program"]}, r"^no-such-program: is not installed, and ready_command"),
        ({"time_command": ["no-such-program"]}, r"^no-such-program: is not installed, and time_command"),
    ],
)
@pytest.mark.usefixtures("systemd")
def test_parameters_of_a_unit_that_are_refused(asked: Arguments, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(FaultError, match=named):
        plan_of(asked(offset="1h", **changes))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"ActiveState": "inactive", "MainPID": "0"}, "is inactive and has no main process"),
        ({"MainPID": "0"}, "has no main process"),
        ({"Id": "x.socket"}, "Give a service that runs"),
        ({"Environment": "LD_PRELOAD=/usr/lib/libjemalloc.so"}, "LD_PRELOAD or FAKETIME already"),
    ],
)
def test_units_that_are_refused(asked: Arguments, systemd: dict[str, str], changes: dict[str, str], named: str) -> None:
    systemd.update(changes)
    with pytest.raises(FaultError, match=f"^unit = 'redis-server': .*{named}"):
        plan_of(asked(offset="1h"))


@pytest.mark.usefixtures("systemd")
def test_programs_that_cannot_be_reached(asked: Arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clockfault_program, "unreachable", lambda _pid: "its program /usr/bin/etcd is written in Go")
    with pytest.raises(FaultError, match=r"^unit = 'etcd': its program .* is written in Go.*scope=machine"):
        plan_of(asked(offset="1h", unit="etcd"))


@pytest.mark.usefixtures("systemd")
def test_no_library(asked: Arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clockfault_program, "library", lambda: None)
    with pytest.raises(FaultError, match=r"^libfaketime: is not installed.*package libfaketime"):
        plan_of(asked(offset="1h"))


@pytest.mark.usefixtures("systemd")
def test_no_systemd(asked: Arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clockfault_plan, "has_systemd", lambda: False)
    with pytest.raises(FaultError, match=r"^unit = 'redis-server': systemd does not manage"):
        plan_of(asked(offset="1h"))


@pytest.mark.usefixtures("systemd")
def test_two_wrong_clocks_of_one_unit_exclude_each_other(asked: Arguments) -> None:
    one, other = (plan_of(asked(offset=offset, id=offset)) for offset in ("1h", "2h"))
    assert one.claim == other.claim == "clock redis-server.service"
    assert one.target != other.target
    assert one.undo != other.undo, "each has a file and a drop-in of its own"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, r"^controller_boot_id: is missing"),
        ({"unit": "redis-server"}, r"^unit = 'redis-server': is about scope=unit"),
        ({"time_command": ["date"]}, r"^time_command = .*is about scope=unit"),
        ({"ready_command": ["true"]}, r"^ready_command = .*is about scope=unit"),
        ({"kind": "drift", "offset": None, "rate": 1.5, "controller_boot_id": "other"}, r"^rate = 1.5: .*0.9 to 1.1"),
    ],
)
@pytest.mark.usefixtures("own_clock")
def test_parameters_of_a_machine_that_are_refused(asked: Arguments, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(FaultError, match=named):
        plan_of(asked(**{"scope": "machine", "unit": "", "offset": "1h", **changes}))


@pytest.mark.usefixtures("own_clock")
def test_the_controllers_own_kernel_is_refused(asked: Arguments) -> None:
    with pytest.raises(FaultError, match=r"controller runs on the same kernel.*scope=unit"):
        plan_of(asked(scope="machine", unit="", offset="1h", controller_boot_id=boot_id() + "\n"))


@pytest.mark.usefixtures("own_clock")
def test_containers_are_refused(asked: Arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clockfault_plan, "run", lambda _argv: (0, "podman", ""))
    with pytest.raises(FaultError, match=r"is a container \(podman\).*every neighbour.*scope=unit"):
        plan_of(asked(scope="machine", unit="", offset="1h", controller_boot_id="other"))


def test_the_right_to_set_the_time_is_asked_first(asked: Arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(capability: str, *, purpose: str, instead: str) -> None:
        raise FaultError(f"{capability} {purpose} {instead}")

    monkeypatch.setattr(clockfault_plan, "require_capability", refuse)
    with pytest.raises(FaultError, match=r"CAP_SYS_TIME .*scope=unit"):
        plan_of(asked(scope="machine", unit="", offset="1h", controller_boot_id="other"))


@pytest.mark.usefixtures("own_clock")
def test_time_services_are_stopped_first_and_started_last(asked: Arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    states = {"chrony.service": (0, "active", "")}
    monkeypatch.setattr(clockfault_plan, "run", lambda argv: states.get(argv[-1], (3, "inactive", "")))
    plan = plan_of(
        asked(scope="machine", unit="", kind="strobe", offset="1h", controller_boot_id="another", ledger_dir="/l")
    )
    words = [argv[3:] for argv in (*plan.inject, *plan.undo)]
    assert [command[0] for command in words] == ["clock-hold", "spawn", "reap", "clock-restore"]
    assert words[0][2:] == words[-1][2:] == ("chrony.service",)
    assert "chrony.service" in plan.gone[-1].argv
    assert set(clockfault_machine.SYNC_UNITS) >= {"systemd-timesyncd.service", "chrony.service", "ntpsec.service"}
