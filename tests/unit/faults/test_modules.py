"""The modules as Ansible runs them, and the guardian when its author is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.unit.faults.conftest import Machine
from tests.unit.faults.test_lifecycle import until

Arguments = Callable[..., dict[str, Any]]
RunModule = Callable[[str, str], "subprocess.CompletedProcess[str]"]


def result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    text = done.stdout[done.stdout.index("{") :]
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def test_through_ansible(run_module: RunModule, arguments: Arguments, machine: Machine, ledger_dir: Path) -> None:
    parameters = json.dumps({key: value for key, value in arguments().items() if value != ""})
    os.environ["ANSIBLE_CALLBACK_RESULT_FORMAT"] = "json"
    injected = run_module("power", parameters)
    assert injected.returncode == 0, injected.stdout
    assert machine.state == "off"
    known = result(run_module("info", json.dumps({"ledger_dir": str(ledger_dir)})))
    assert [(entry["id"], entry["cluster"], entry["guarded"]) for entry in known["entries"]] == [
        ("drill-1", "lab", True)
    ]
    other = result(run_module("heal", json.dumps({"ledger_dir": str(ledger_dir), "cluster": "another"})))
    assert other["healed"] == [] and machine.state == "off"
    healed = result(run_module("heal", json.dumps({"ledger_dir": str(ledger_dir), "cluster": "lab"})))
    assert [entry["id"] for entry in healed["healed"]] == ["drill-1"]
    assert machine.state == "on"
    assert not result(run_module("heal", json.dumps({"ledger_dir": str(ledger_dir)})))["changed"]


def test_heal_names_what_it_cannot_read(
    run_module: RunModule, arguments: Arguments, machine: Machine, ledger_dir: Path
) -> None:
    done = run_module("power", json.dumps({key: value for key, value in arguments().items() if value != ""}))
    assert done.returncode == 0, done.stdout
    (ledger_dir / "torn.json").write_text("{")
    failed = run_module("heal", json.dumps({"ledger_dir": str(ledger_dir)}))
    assert failed.returncode != 0
    assert "torn.json: is not a ledger entry" in failed.stdout
    assert machine.state == "on", "the others are healed all the same"


INJECT_AND_WAIT = """
import json, sys, time
from ansible_collections.halab.faults.plugins.modules.power import act
act(json.loads(sys.argv[1]), check_mode=False)
print("injected", flush=True)
time.sleep(600)
"""


def test_guardian_survives_sigkill_of_its_whole_session(
    arguments: Arguments, machine: Machine, ledger_dir: Path
) -> None:
    root = Path(__file__).resolve().parents[3]
    with subprocess.Popen(
        [sys.executable, "-c", INJECT_AND_WAIT, json.dumps(arguments(ttl=3))],
        env={**os.environ, "PYTHONPATH": str(root / "collections")},
        stdout=subprocess.PIPE,
        start_new_session=True,
        text=True,
    ) as author:
        assert author.stdout is not None
        assert author.stdout.readline() == "injected\n"
        assert machine.state == "off"
        began = time.monotonic()
        os.killpg(author.pid, signal.SIGKILL)
        author.wait(timeout=5)
        until(lambda: not (ledger_dir / "drill-1.json").exists(), 8, "healed within ttl + 5 s of the author's death")
    assert machine.state == "on"
    assert time.monotonic() - began < 8


def test_killed_between_ledger_and_injection(arguments: Arguments, machine: Machine, ledger_dir: Path) -> None:
    """The undo is on disk and guarded before the power is cut: a death inside the off command is healed too."""
    root = Path(__file__).resolve().parents[3]
    slow = machine.folder / "slow.py"
    slow.write_text(
        f"import time, pathlib; pathlib.Path({str(machine.folder / 'state')!r}).write_text('off'); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", INJECT_AND_WAIT, json.dumps(arguments(ttl=3, off_command=[sys.executable, str(slow)]))],
        env={**os.environ, "PYTHONPATH": str(root / "collections")},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as author:
        until(lambda: machine.state == "off", 10, "the power is cut")
        os.killpg(author.pid, signal.SIGKILL)
        author.wait(timeout=5)
        until(lambda: not (ledger_dir / "drill-1.json").exists(), 9, "healed")
    assert machine.state == "on"
