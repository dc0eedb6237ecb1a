"""The command as a person meets it: its own process, its words, its exit codes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.unit.cli.conftest import Halab

ROOT = Path(__file__).resolve().parents[3]
FOREIGN = """\
all:
  vars:
    halab_state_dir: "{folder}/state"
    halab_cluster_name: production
    ansible_port: 1   # nobody listens
  children:
    patroni: {{hosts: {{pg1: {{ansible_host: 127.0.0.1}}, pg2: {{ansible_host: 127.0.0.2}}}}}}
    etcd: {{hosts: {{pg1: , pg2: , pg3: {{ansible_host: 127.0.0.3}}}}}}
    haproxy: {{hosts: {{pg1: }}}}
    redis: {{}}
"""


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """An inventory of machines that are not halab's."""
    path = tmp_path / "hosts.yml"
    path.write_text(FOREIGN.format(folder=tmp_path))
    return path


def test_help_names_every_command_and_imports_nothing_heavy(halab: Halab) -> None:
    done = halab("--help")
    assert done.returncode == 0
    for command in ("up", "status", "chaos", "check", "report", "heal", "down", "list"):
        assert re.search(rf"^  {command} ", done.stdout, re.MULTILINE), command
    loaded = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "halab", "--help"],
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    for heavy in ("ansible", "psycopg", "yaml", "rich", "jinja2", "requests"):
        assert f"| {heavy}\n" not in loaded and f" {heavy}\n" not in loaded, f"{heavy} is imported for help"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["frobnicate"], "No such command 'frobnicate'"),
        (["chaos"], "Missing argument 'NAME'"),
        (["chaos", "health", "--frobnicate"], "No such option"),
        (["chaos", "health", "--duration", "5m"], "--duration belongs to `halab chaos random`"),
        (["chaos", "random", "--duration", "soon"], "duration = 'soon': is not a duration"),
        (["chaos", "random", "--faults", "pwer"], "faults = 'pwer': is unknown. Is `power` meant?"),
        (["drills", "primary-failur"], "scenario = 'primary-failur': is unknown. Is `primary-failure` meant?"),
        (["chaos", "primary-failur"], "scenario = 'primary-failur': is unknown. Is `primary-failure` meant?"),
        (["chaos", "primary-failure", "-i", "nowhere"], "inventory = 'nowhere': does not exist"),
        (["status", "-i", "nowhere"], "inventory = 'nowhere': does not exist"),
        (["check", "primary-failure/20000101T000000Z"], "is not a run in"),
        (["report"], "RUN = 'latest': is not a run in"),
        (["report", "x" * 5000], "x...': is not a run in"),
        (["check", "x/" * 2500], "/...': is not a run in"),
        (["check", "x", "--import", "y", "--model", "register"], "RUN = 'x': is not judged with --import"),
        (["check", "--time-limit", "5"], "--isolation, --time-limit and --json belong to --import"),
        (["chaos", "random", "--faults", ""], "--faults '': names no fault"),
        (["chaos", "random", "--faults", " ,"], "--faults ' ,': names no fault"),
        (["status", "-i", ""], "inventory = '': is empty"),
        (["chaos", "health", "--check", "-i", " "], "inventory = ' ': is empty"),
        (["chaos", f"{'x' * 5000}.yml", "--check"], "is unknown"),
        (["load", "bank", "--set", "bank.accounts=["], "set = 'bank.accounts=[': has no value that can be read"),
    ],
)
def test_refusals_have_their_own_exit_code(halab: Halab, arguments: list[str], says: str) -> None:
    done = halab(*arguments)
    assert done.returncode == 3, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cluster_that_is_not_ours_is_not_broken(halab: Halab, foreign: Path, tmp_path: Path) -> None:
    done = halab("chaos", "primary-failure", "-i", str(foreign))
    assert done.returncode == 3
    assert "halab_allow_destructive = '': does not name this cluster" in done.stderr
    assert "--allow-destructive production" in done.stderr
    wrong = halab("chaos", "primary-failure", "-i", str(foreign), "--allow-destructive", "staging", "--check")
    assert wrong.returncode == 3
    assert "halab_allow_destructive = 'staging'" in wrong.stderr
    allowed = halab("chaos", "primary-failure", "-i", str(foreign), "--allow-destructive", "production", "--check")
    assert allowed.returncode == 0, allowed.stderr
    assert "at 0 s: fault power on leader for 40 s" in allowed.stdout
    named = foreign.read_text().replace("  vars:\n", "  vars:\n    halab_allow_destructive: production\n")
    foreign.write_text(named)
    assert halab("chaos", "primary-failure", "-i", str(foreign), "--check").returncode == 0
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "state").exists()


def test_machines_that_are_not_ours_are_not_removed(halab: Halab, foreign: Path) -> None:
    done = halab("down", "-i", str(foreign))
    assert done.returncode == 3
    assert "are not halab's to remove" in done.stderr


def test_list_shows_scenarios_and_runs(halab: Halab, tmp_path: Path) -> None:
    folder = tmp_path / "runs/health/20261121T101500Z"
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"cluster": {"name": "lab"}, "ended": "x"}))
    (folder / "verdicts.json").write_text(json.dumps({"status": "VALID"}))
    done = halab("list")
    assert done.returncode == 0
    assert "primary-failure" in done.stdout
    assert re.search(r"health/20261121T101500Z\s+lab\s+VALID", done.stdout)


def test_the_next_command_says_what_it_finds_and_heals_it(halab: Halab, tmp_path: Path) -> None:
    """A fault and a lock that a killed drill left."""
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(FOREIGN.format(folder=tmp_path))
    power = tmp_path / "power"
    power.write_text("off")
    ledger = tmp_path / "state/ledger"
    ledger.mkdir(parents=True)
    stamp = {"monotonic_ns": time.monotonic_ns(), "boot_id": "x", "wall": "2026-11-21T10:15:00.000Z"}
    probe = {"kind": "output", "argv": ["cat", str(power)], "expected": "on"}
    entry = {
        "version": 1, "id": "primary-failure-1", "fault": "power", "target": "pg1", "cluster": "production",
        "run": "primary-failure/20261121T101500Z", "created": stamp, "expires": stamp,
        "exclusive": "", "undo": [["cp", str(tmp_path / "on"), str(power)]], "verify": [probe], "verify_within_s": 2,
    }  # fmt: skip
    (tmp_path / "on").write_text("on")
    (ledger / "primary-failure-1.json").write_text(json.dumps(entry))
    left = {"pid": 4194305, "run": "run primary-failure/20261121T101500Z", "faults": ["fault x-2 (process on pg2)"]}
    (tmp_path / ".state.lock").write_text(json.dumps(left))
    found = halab("chaos", "health", "-i", str(inventory), "--check")
    assert "process 4194305 died during run primary-failure/20261121T101500Z; `halab heal` mends" in found.stdout
    assert "it had begun: fault x-2 (process on pg2)" in found.stdout
    assert (
        "fault primary-failure-1 of run primary-failure/20261121T101500Z (power on pg1) is in the ledger"
        in found.stdout
    )
    healed = halab("heal", "-i", str(inventory))
    assert "fault primary-failure-1 (power on pg1) is healed and seen to be gone" in healed.stdout
    assert power.read_text() == "on"
    # A machine that does not answer is named and fails the command; it kept nothing else from healing.
    assert healed.returncode == 2
    assert "pg2: does not answer" in healed.stderr
    assert "found" not in halab("chaos", "health", "-i", str(inventory), "--check").stdout


@pytest.mark.parametrize("command", ["status", "heal"])
def test_a_cluster_that_was_never_made_is_told_at_once(halab: Halab, tmp_path: Path, command: str) -> None:
    inventory = shutil.copytree(ROOT / "inventories/minimal", tmp_path / "minimal")
    done = halab(command, "-i", str(inventory))
    assert done.returncode == 3
    assert f"does not exist yet. Make it with `halab up -i {inventory}`." in done.stderr


def test_heal_that_fails_says_so(halab: Halab, foreign: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "state/ledger"
    ledger.mkdir(parents=True)
    (ledger / "torn.json").write_text('{"version": 1,')
    done = halab("heal", "-i", str(foreign))
    assert done.returncode == 2
    assert "torn.json: is not a ledger entry" in done.stderr
    assert "remove the file" in done.stderr
