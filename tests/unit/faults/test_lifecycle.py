"""The life of a fault: refused, injected, found again, healed, undone when it does not act."""

from __future__ import annotations

import json
import multiprocessing
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.faults.conftest import Machine

from ansible_collections.halab.faults.plugins.module_utils import guardian
from ansible_collections.halab.faults.plugins.module_utils.healing import Healing, heal
from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger, LedgerError
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError
from ansible_collections.halab.faults.plugins.modules.power import act

Arguments = Callable[..., dict[str, Any]]


def until(condition: Callable[[], bool], within_s: float, what: str) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.05)


def test_inject_and_heal(arguments: Arguments, machine: Machine, ledger_dir: Path) -> None:
    injected = act(arguments(), check_mode=False)
    assert machine.state == "off"
    assert injected["changed"] and injected["active"]
    assert injected["commands"] == [machine.command("off")]
    assert "says off" in injected["evidence"][0]
    order = [injected[key]["monotonic_ns"] for key in ("planned_at", "injected_at", "observed_at", "expires_at")]
    assert order == sorted(order)
    entry = json.loads((ledger_dir / "drill-1.json").read_text())
    assert entry["undo"] == [machine.command("on")]

    healed = act(arguments(state="healed"), check_mode=False)
    assert machine.state == "on"
    assert healed["changed"] and not healed["active"] and healed["healed_by"] == "module"
    assert healed["healed_at"]["monotonic_ns"] <= healed["gone_at"]["monotonic_ns"]
    assert not list(ledger_dir.glob("[!.]*"))


def test_both_ways_are_idempotent(arguments: Arguments, machine: Machine) -> None:
    first = act(arguments(), check_mode=False)
    again = act(arguments(), check_mode=False)
    assert not again["changed"] and again["active"]
    assert again["expires_at"] == first["expires_at"], "the time to live of an active fault is not extended"
    assert machine.asked("off") == 1
    first = act(arguments(state="healed"), check_mode=False)
    again = act(arguments(state="healed"), check_mode=False)
    assert not again["changed"]
    assert again["healed_at"] == first["healed_at"], "who asks later still learns when it was healed"
    assert machine.asked("on") == 1


def test_check_mode_touches_nothing(arguments: Arguments, machine: Machine, ledger_dir: Path) -> None:
    planned = act(arguments(), check_mode=True)
    assert planned["changed"] and not planned["active"]
    assert planned["commands"] == [machine.command("off")]
    assert "power on pg1" in planned["diff"]["after"]
    assert machine.state == "on" and not ledger_dir.exists()
    assert not act(arguments(state="healed"), check_mode=True)["changed"]
    act(arguments(), check_mode=False)
    assert act(arguments(state="healed"), check_mode=True)["changed"]
    assert machine.state == "off"


def test_unobserved_fault_is_undone_and_fails(arguments: Arguments, machine: Machine, ledger_dir: Path) -> None:
    with pytest.raises(FaultError, match=r"not observed within 1 s.*says on.*It was undone"):
        act(arguments(off_command=machine.command("ignored"), observed_within=1), check_mode=False)
    assert machine.asked("on") == 1
    assert not list(ledger_dir.glob("[!.]*"))


def test_failing_injection_is_undone(arguments: Arguments, machine: Machine, ledger_dir: Path) -> None:
    with pytest.raises(FaultError, match=r"the switch is broken.*It was undone"):
        act(arguments(off_command=machine.command("broken")), check_mode=False)
    assert not list(ledger_dir.glob("[!.]*"))


def test_failing_heal_keeps_the_entry(arguments: Arguments, machine: Machine, ledger_dir: Path) -> None:
    act(arguments(on_command=machine.command("broken")), check_mode=False)
    with pytest.raises(FaultError, match=r"was not healed.*the switch is broken.*drill-1\.json"):
        act(arguments(state="healed"), check_mode=False)
    assert (ledger_dir / "drill-1.json").exists()


def test_heal_without_effect_keeps_the_entry(arguments: Arguments, machine: Machine, ledger_dir: Path) -> None:
    act(arguments(on_command=machine.command("ignored"), gone_within=1), check_mode=False)
    with pytest.raises(FaultError, match=r"not gone within 1 s of the heal.*says off"):
        act(arguments(state="healed"), check_mode=False)
    assert (ledger_dir / "drill-1.json").exists()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ttl": None}, r"ttl: is missing"),
        ({"ttl": -5}, r"ttl = -5: is not a number of seconds from 1 to 86400"),
        ({"ttl": 0}, r"ttl = 0"),
        ({"ttl": 86401}, r"ttl = 86401"),
        ({"gone_within": 0}, r"gone_within = 0: is not a positive number"),
        ({"id": "../escape"}, r"id = '\.\./escape'"),
        ({"port": 70000}, r"port = 70000"),
        ({"off_command": []}, r"off_command of pg1: not given.*machine_power"),
        ({"host": "localhost"}, r"host = 'localhost': is the controller"),
        ({"address": "127.0.0.1"}, r"is the controller"),
        ({"state_command": ["echo", "perhaps"]}, r"printed 'perhaps'.*on or off"),
        ({"state_command": ["/nonexistent/power", "state"]}, r"exited 127.*No such file"),
    ],
)
def test_refused_before_anything_changes(
    arguments: Arguments, machine: Machine, ledger_dir: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises((FaultError, LedgerError), match=says):
        act(arguments(**changes), check_mode=False)
    assert machine.state == "on" and not machine.asked("off") and not ledger_dir.exists()


def test_a_machine_that_is_off_already_is_refused(arguments: Arguments, machine: Machine, ledger_dir: Path) -> None:
    (machine.folder / "state").write_text("off")
    with pytest.raises(FaultError, match="no fault in the ledger explains it"):
        act(arguments(), check_mode=False)
    assert not list(ledger_dir.glob("[!.]*"))


def test_a_second_fault_of_the_kind_on_the_target_is_refused(arguments: Arguments) -> None:
    act(arguments(), check_mode=False)
    with pytest.raises(FaultError, match=r"fault drill-1 \(power on pg1\) is acting on it"):
        act(arguments(id="drill-2"), check_mode=False)
    with pytest.raises(FaultError, match="in use by fault power on pg1"):
        act(arguments(host="pg2"), check_mode=False)


def test_a_torn_entry_is_named_and_never_guessed(arguments: Arguments, machine: Machine, ledger_dir: Path) -> None:
    act(arguments(), check_mode=False)
    whole = (ledger_dir / "drill-1.json").read_text()
    (ledger_dir / "drill-1.json").write_text(whole[: len(whole) // 2])
    ledger = Ledger(ledger_dir)
    assert [file.path for file in ledger.contents().unreadable] == [str(ledger_dir / "drill-1.json")]
    with pytest.raises(LedgerError, match=r"drill-1\.json: is not a ledger entry.*remove the file"):
        act(arguments(state="healed"), check_mode=False)
    assert machine.state == "off"
    (ledger_dir / "drill-1.json").write_text(whole.replace('"version": 1', '"version": 9'))
    with pytest.raises(LedgerError, match="version 9"):
        ledger.read("drill-1")


def _heal(folder: str, results: Any) -> None:
    healing: Healing = heal(Ledger(Path(folder)), "drill-1", by="module")
    results.put(healing.changed)


def test_many_healers_heal_once(arguments: Arguments, machine: Machine, ledger_dir: Path) -> None:
    act(arguments(), check_mode=False)
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    healers = [context.Process(target=_heal, args=(str(ledger_dir), results)) for _ in range(4)]
    for healer in healers:
        healer.start()
    changed = [results.get(timeout=20) for _ in healers]
    for healer in healers:
        healer.join(timeout=20)
    assert sorted(changed) == [False, False, False, True]
    assert machine.asked("on") == 1


def test_guardian_heals_at_the_end_of_the_ttl(arguments: Arguments, machine: Machine, ledger_dir: Path) -> None:
    act(arguments(ttl=2), check_mode=False)
    assert guardian.alive(Ledger(ledger_dir), "drill-1")
    until(lambda: not (ledger_dir / "drill-1.json").exists(), 7, "the guardian heals within ttl + 5 s")
    assert machine.state == "on"
    late = act(arguments(state="healed"), check_mode=False)
    assert not late["changed"] and late["healed_by"] == "guardian"
    assert machine.asked("on") == 1


def test_guardian_leaves_when_the_fault_was_healed(arguments: Arguments, ledger_dir: Path) -> None:
    act(arguments(), check_mode=False)
    act(arguments(state="healed"), check_mode=False)
    until(lambda: not guardian.alive(Ledger(ledger_dir), "drill-1"), 5, "the guardian leaves")


def test_guardian_tries_again(arguments: Arguments, machine: Machine, ledger_dir: Path) -> None:
    blocked = machine.folder / "state"
    act(arguments(ttl=1), check_mode=False)
    text = (machine.folder / "power.py").read_text()
    (machine.folder / "power.py").write_text("import sys; sys.exit('not now')")
    until(lambda: time.monotonic() > 0 and blocked.read_text() == "off", 1, "still off")
    time.sleep(2.5)
    assert (ledger_dir / "drill-1.json").exists()
    (machine.folder / "power.py").write_text(text)
    until(lambda: not (ledger_dir / "drill-1.json").exists(), 15, "the guardian heals after failures")
    assert machine.state == "on"


def test_a_dead_guardian_is_armed_again(arguments: Arguments, ledger_dir: Path) -> None:
    act(arguments(), check_mode=False)
    ledger = Ledger(ledger_dir)
    (ledger_dir / ".drill-1.guardian").unlink()
    assert not guardian.alive(ledger, "drill-1")
    assert not act(arguments(), check_mode=False)["changed"]
    assert guardian.alive(ledger, "drill-1")
