"""Limits from outside, with a site's command whose limits are lines of a file."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, heal_one, inject
from ansible_collections.halab.faults.plugins.module_utils.limits_agent import same
from ansible_collections.halab.faults.plugins.modules.limits import plan_of

HOOK = """\
import json, pathlib, sys
file = pathlib.Path(sys.argv[1])
limits = json.loads(file.read_text())
if sys.argv[2:] == ["get"]:
    print("\\n".join(f"{name}={value}" for name, value in limits.items()) or "off")
elif not limits:
    sys.exit("is off")
else:
    limits |= dict(word.split("=") for word in sys.argv[2:])
    file.write_text(json.dumps(limits))
"""
FORMER = {"memory": "max", "cpu": "66.67", "write_iops": "max"}


@pytest.fixture
def limits(tmp_path: Path) -> Path:
    file = tmp_path / "limits"
    file.write_text(json.dumps(FORMER))
    (tmp_path / "hook.py").write_text(HOOK)
    return file


@pytest.fixture
def parameters(limits: Path, ledger_dir: Path) -> Callable[..., dict[str, Any]]:
    def build(**changes: Any) -> dict[str, Any]:
        hook = [sys.executable, str(limits.parent / "hook.py"), str(limits)]
        empty = dict.fromkeys(("memory", "cpu", "write_iops", "write_bps"))
        common = {"id": "less", "ttl": 60, "cluster": "", "run": "", "ledger_dir": str(ledger_dir)}
        return {**common, "host": "pg1", "command": hook, **empty, **changes}

    return build


def test_limits_come_and_go_exactly(parameters: Callable[..., dict[str, Any]], limits: Path, ledger_dir: Path) -> None:
    ledger = Ledger(ledger_dir)
    result = inject(plan_of(parameters(cpu=12.5, memory=10**9)), ledger)
    assert result["achieved"] == {"cpu": "12.5", "memory": "1000000000"}
    assert json.loads(limits.read_text()) == {**FORMER, "cpu": "12.5", "memory": "1000000000"}
    assert not inject(plan_of(parameters(cpu=12.5, memory=10**9)), ledger)["changed"]
    assert heal_one(ledger, "less")["changed"]
    assert json.loads(limits.read_text()) == FORMER
    assert not heal_one(ledger, "less")["changed"]


def test_a_machine_that_lost_its_power_is_healed(
    parameters: Callable[..., dict[str, Any]], limits: Path, ledger_dir: Path
) -> None:
    inject(plan_of(parameters(write_iops=5)), Ledger(ledger_dir))
    limits.write_text("{}")
    assert "has no power" in heal_one(Ledger(ledger_dir), "less")["evidence"][0]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, r"memory, cpu, write_iops, write_bps: none is given"),
        ({"cpu": 0.0}, r"cpu = 0\.0: is not a positive number"),
        ({"memory": -1}, r"memory = -1"),
        ({"write_bps": 4096}, r"write_bps = 4096: pg1 cannot be limited so.*memory, cpu, write_iops"),
        ({"cpu": 66.67}, r"cpu = 66\.67: is the limit of pg1 already"),
        ({"cpu": 5.0, "command": []}, r"command of pg1: not given.*machine_limits"),
        ({"cpu": 5.0, "command": ["false"]}, r"`false get` failed with code 1"),
        ({"cpu": 5.0, "command": ["echo"]}, r"printed 'get'; it must print NAME=NUMBER"),
        ({"cpu": 5.0, "command": ["/nowhere/hook"]}, r"code 127"),
    ],
)
def test_refused_before_anything_changes(
    parameters: Callable[..., dict[str, Any]], limits: Path, ledger_dir: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(FaultError, match=says):
        plan_of(parameters(**changes))
    assert json.loads(limits.read_text()) == FORMER and not ledger_dir.exists()


def test_a_hook_that_ignores_what_it_is_told_is_found_out(
    parameters: Callable[..., dict[str, Any]], limits: Path, ledger_dir: Path
) -> None:
    (limits.parent / "hook.py").write_text(HOOK.replace("file.write_text(json.dumps(limits))", "pass"))
    with pytest.raises(FaultError, match=r"not observed within 5 s.*cpu=66\.67\. It was undone"):
        inject(plan_of(parameters(cpu=5.0)), Ledger(ledger_dir))


def test_a_machine_without_power_is_not_limited(parameters: Callable[..., dict[str, Any]], limits: Path) -> None:
    limits.write_text("{}")
    with pytest.raises(FaultError, match=r"host = 'pg1': has no power"):
        plan_of(parameters(cpu=5.0))


@pytest.mark.parametrize(
    ("name", "one", "other", "expected"),
    [
        ("memory", "1000000000", "999997440", True),
        ("memory", "1000000000", "990000000", False),
        ("memory", "max", "1000", False),
        ("cpu", "33.333", "33.3", True),
        ("cpu", "33", "34", False),
        ("cpu", "max", "max", True),
    ],
)
def test_values_are_one_up_to_rounding(name: str, one: str, other: str, expected: bool) -> None:
    assert same(name, one, other) is same(name, other, one) is expected


def test_through_ansible(
    run_module: Callable[[str, str], subprocess.CompletedProcess[str]],
    parameters: Callable[..., dict[str, Any]],
    limits: Path,
) -> None:
    given = {name: value for name, value in parameters(cpu=5.0).items() if value not in (None, "")}
    done = run_module("limits", json.dumps(given))
    assert done.returncode == 0, done.stdout
    assert json.loads(limits.read_text())["cpu"] == "5"
    done = run_module("limits", json.dumps({**given, "state": "healed"}))
    assert done.returncode == 0, done.stdout
    assert json.loads(limits.read_text()) == FORMER
