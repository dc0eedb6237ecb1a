"""Whole drills on a scratch PostgreSQL server: its power is pg_ctl, everything else is what a real drill uses."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from halab import scenario as scenarios
from halab.bench.scratch import PASSWORD, Server
from halab.driver.consent import ownership
from halab.driver.drill import Drill, Outcome
from halab.driver.locks import Busy, Lock
from halab.driver.prepare import Prepared
from halab.driver.runner import Plays
from halab.driver.signals import interrupting
from halab.driver.site import Site, findings
from halab.inventory import load
from halab.inventory.source import read_inventory

ROOT = Path(__file__).resolve().parents[3]
POWER = """\
import os, subprocess, sys
user = {user!r} if os.getuid() == 0 else None
def ctl(*words):
    return subprocess.run([{pg_ctl!r}, "-D", "data", "-w", *words], cwd={folder!r}, user=user,
                          stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode
if sys.argv[1] == "state":
    print("on" if ctl("status") == 0 else "off")
elif sys.argv[1] == "off":
    sys.exit(ctl("-m", "immediate", "stop"))
elif ctl("status") != 0:
    sys.exit(ctl("start"))
"""
FAULT = """
- hosts: localhost
  connection: local
  tasks:
    - block:
        - name: Power off
          halab.faults.power: &power
            id: "{{ fault_id }}"
            host: "{{ fault_target }}"
            ttl: "{{ fault_ttl }}"
            run: "{{ fault_run }}"
            ledger_dir: "{{ halab_state_dir }}/ledger"
            off_command: [PYTHON, POWER, "off"]
            on_command: [PYTHON, POWER, "on"]
            state_command: [PYTHON, POWER, state]
        - name: Hold
          ansible.builtin.pause: {seconds: "{{ fault_hold }}"}
      always:
        - name: Power on
          halab.faults.power:
            <<: *power
            state: healed
"""
VERIFY = """
- hosts: localhost
  connection: local
  tasks:
    - name: PostgreSQL listens
      ansible.builtin.wait_for: {host: 127.0.0.1, port: "{{ haproxy_write_port }}", timeout: 5}
      vars: {haproxy_write_port: "{{ hostvars.pg1.haproxy_write_port }}"}
"""
LOGS = """
- hosts: localhost
  connection: local
  tasks:
    - name: A log with a secret in it
      ansible.builtin.copy:
        content: "login of postgres with {{ hostvars.pg1.patroni_superuser_password }}\\n"
        dest: "{{ logs_dir }}/pg1.log"
        mode: "0600"
"""
SCENARIO = {
    "description": "The only server stops and comes back.",
    "destructive": True,
    "workload": {"writers": 2, "write_rate": 10, "readers": 1, "read_rate": 5},
    "before": 2,
    "after": 2,
    "faults": [{"fault": "power", "target": "pg1", "at": 0, "duration": 2}],
    "promises": {"write_outage": {"below": 30}, "lost_writes": {"at_most": 0}, "rows_equal": {}},
}


def heal_here(machine: Path) -> list[dict[str, Any]]:
    """The real playbook, with this machine in the place of every other."""
    plays: list[dict[str, Any]] = yaml.safe_load((ROOT / "playbooks/heal.yml").read_text())
    plays[1] |= {"connection": "local", "become": False}
    plays[1]["tasks"][0]["halab.faults.heal"]["ledger_dir"] = str(machine / "ledger")
    return plays


class Told:
    """A listener that keeps what it is told, and may act on it."""

    def __init__(self, on_note: Callable[[str], object] = lambda _text: None) -> None:
        self.lines: list[str] = []
        self.statuses: list[Mapping[str, Any]] = []
        self._on_note = on_note

    def phase(self, name: str) -> None:
        self.lines.append(f"== {name}")

    def note(self, text: str) -> None:
        self.lines.append(text)
        self._on_note(text)

    def fault(self, fault_id: str, text: str, *, over: bool) -> None:  # noqa: ARG002 (a note says it all)
        self.note(text)

    def step(self, text: str) -> None:
        """Not kept."""

    def status(self, status: Mapping[str, Any]) -> None:
        self.statuses.append(status)


@pytest.fixture
def ready(
    postgres: Server, root: Path, write: Callable[[str, str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Prepared]]:
    """A drill on the scratch server, prepared."""
    monkeypatch.setenv("HALAB_RUNS", str(tmp_path / "runs"))
    switch = tmp_path / "power.py"
    pg_ctl = str(postgres.binaries / "pg_ctl")
    switch.write_text(POWER.format(user=postgres.user, pg_ctl=pg_ctl, folder=str(postgres.folder)))
    write("faults/power", FAULT.replace("PYTHON", sys.executable).replace("POWER", f'"{switch}"'))
    write("verify", VERIFY)
    write("collect_logs", LOGS)
    write("heal", yaml.safe_dump(heal_here(tmp_path / "machine")))
    state = tmp_path / "state"
    state.mkdir()
    path = postgres.inventory(tmp_path)
    path.write_text(path.read_text().replace(f'halab_state_dir: "{postgres.folder}"', f'halab_state_dir: "{state}"'))
    cluster, variables = load(path), read_inventory(path).variables
    lock = Lock(tmp_path / ".state.lock")
    lock.take("cluster scratch", run="test")

    def build(**changes: Any) -> Prepared:
        scenario = scenarios.parse({**SCENARIO, **changes}, name="outage", source="test", cluster=cluster)
        plays = Plays(root=root, inventory=path, logs=tmp_path / "logs")
        site = Site(path, cluster, ownership(variables), plays, variables)
        return Prepared(site=site, cluster=cluster, scenario=scenario, seed=7, command="test", lock=lock)

    yield build
    lock.release()
    if not (postgres.folder / "data/postmaster.pid").exists():
        postgres.start()
    postgres.wait_until_ready()


def history(outcome: Outcome) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (outcome.folder / "history.jsonl").read_text().splitlines()]


def steps(outcome: Outcome) -> list[str]:
    return [record["event"] for record in history(outcome) if record["kind"] == "fault"]


def test_a_whole_drill(ready: Callable[..., Prepared]) -> None:
    told = Told()
    outcome = Drill(ready(), told).run()
    assert outcome.problems == ()
    assert steps(outcome) == ["planned", "injected", "observed", "healed", "gone"]
    verdicts = json.loads((outcome.folder / "verdicts.json").read_text())
    found = {promise["name"]: promise["verdict"] for promise in verdicts["promises"]}
    assert found == dict.fromkeys(("write_outage", "lost_writes", "rows_equal", "fault_acted", "fault_gone"), "VALID")
    assert (outcome.status, outcome.exit_code) == ("VALID", 0)
    outage = next(promise for promise in verdicts["promises"] if promise["name"] == "write_outage")
    assert outage["measured"] > 2, "the server was really away"
    for name in ("run.json", "events.jsonl", "junit.xml", "report.html", "logs/pg1.log"):
        assert (outcome.folder / name).stat().st_size > 0, name
    assert [path.name for path in (outcome.folder / "ansible").glob("fault-*")] == [
        f"fault-{outcome.run.replace('/', '-')}-1.log"
    ]
    meta = json.loads((outcome.folder / "run.json").read_text())
    assert meta["ended"]
    assert meta["settings"] == {"seed": 7}
    assert meta["timing"]["ttl"] > 0
    assert not (outcome.folder / ".lock").exists()
    assert any(status["ok"] for status in told.statuses)


def test_no_secret_is_in_the_run_folder(ready: Callable[..., Prepared], postgres: Server) -> None:
    outcome = Drill(ready(faults=[], before=1, after=0, promises={"lost_writes": {"at_most": 0}}), Told()).run()
    assert (outcome.folder / "logs/pg1.log").read_text() == "login of postgres with (hidden)\n"
    key = (postgres.folder / "client.key").read_text().splitlines()[1]
    for path in outcome.folder.rglob("*"):
        if path.is_file():
            text = path.read_text(errors="replace")
            assert PASSWORD not in text, path
            assert key not in text, path


def test_an_interrupt_heals_and_leaves_an_honest_folder(ready: Callable[..., Prepared], tmp_path: Path) -> None:
    def interrupt(text: str) -> None:
        if "seen to act" in text:
            os.kill(os.getpid(), signal.SIGINT)

    prepared = ready(faults=[{"fault": "power", "target": "pg1", "duration": 60}])
    told = Told(interrupt)
    with interrupting():
        outcome = Drill(prepared, told).run()
    assert outcome.exit_code == 130
    assert steps(outcome) == ["planned", "injected", "observed", "healed", "gone"]
    assert not list((tmp_path / "state/ledger").glob("[!.]*"))
    meta = json.loads((outcome.folder / "run.json").read_text())
    assert meta["interrupted"] == "SIGINT while carrying out the faults"
    assert outcome.status != "VALID"
    assert "end" not in [record.get("name") for record in history(outcome)]
    assert (outcome.folder / "report.html").exists()


def test_a_fault_that_fails_is_in_the_record(ready: Callable[..., Prepared], write: Callable[[str, str], None]) -> None:
    prepared = ready()
    write(
        "faults/power", "- hosts: localhost\n  tasks: [{name: Break, ansible.builtin.fail: {msg: no power switch}}]\n"
    )
    outcome = Drill(prepared, Told()).run()
    assert steps(outcome) == ["planned", "failed"]
    assert "no power switch" in outcome.problems[0]
    assert (outcome.status, outcome.exit_code) == ("UNKNOWN", 2)


def test_a_fault_whose_playbook_dies_is_healed_by_the_driver(
    ready: Callable[..., Prepared], write: Callable[[str, str], None], root: Path
) -> None:
    prepared = ready()
    plays = yaml.safe_load((root / "playbooks/faults/power.yml").read_text())
    del plays[0]["tasks"][0]["always"]
    write("faults/power", yaml.safe_dump(plays))
    outcome = Drill(prepared, Told()).run()
    assert steps(outcome) == ["planned", "injected", "observed", "healed", "gone"]
    assert outcome.exit_code == 0


def test_what_a_guardian_healed_is_found_out_in_the_end(
    ready: Callable[..., Prepared], write: Callable[[str, str], None], root: Path, tmp_path: Path
) -> None:
    """SSH is lost during the fault, so its playbook can heal nothing; the machine does, and its journal tells when."""
    prepared = ready()
    plays = yaml.safe_load((root / "playbooks/faults/power.yml").read_text())
    block = plays[0]["tasks"][0]
    block["block"][0]["halab.faults.power"] |= {"ttl": 2, "ledger_dir": str(tmp_path / "machine/ledger")}
    block["block"][1] = {"name": "Hold", "ansible.builtin.pause": {"seconds": 6}}
    block["always"] = [{"name": "Heal", "ansible.builtin.fail": {"msg": "the connection is lost"}}]
    write("faults/power", yaml.safe_dump(plays))
    outcome = Drill(prepared, Told()).run()
    marks = [record for record in history(outcome) if record["kind"] == "fault"]
    assert sorted(mark["event"] for mark in marks) == ["failed", "gone", "healed", "injected", "observed", "planned"]
    by_step = {mark["event"]: mark for mark in marks}
    assert by_step["healed"]["detail"]["healed_by"] == "guardian"
    assert by_step["observed"]["t"] < by_step["healed"]["t"] <= by_step["gone"]["t"] < by_step["failed"]["t"]
    found = {
        item["name"]: item["verdict"] for item in json.loads((outcome.folder / "verdicts.json").read_text())["promises"]
    }
    assert found["fault_gone"] == "VALID"
    assert any("the connection is lost" in problem for problem in outcome.problems)


def test_a_fault_that_cannot_be_healed_is_known_to_remain(
    ready: Callable[..., Prepared], write: Callable[[str, str], None], root: Path
) -> None:
    """Though the record of such a run ends before it is whole."""
    prepared = ready()
    plays = yaml.safe_load((root / "playbooks/faults/power.yml").read_text())
    del plays[0]["tasks"][0]["always"]
    plays[0]["tasks"][0]["block"][0]["halab.faults.power"]["on_command"] = ["false"]
    write("faults/power", yaml.safe_dump(plays))
    outcome = Drill(prepared, Told()).run()
    assert "failed" in steps(outcome)
    assert "gone" not in steps(outcome)
    verdicts = json.loads((outcome.folder / "verdicts.json").read_text())["promises"]
    assert {each["name"]: each["verdict"] for each in verdicts}["fault_gone"] == "INVALID"
    assert any("not everything could be healed" in problem for problem in outcome.problems)


def test_a_defect_of_ours_heals_judges_and_is_told(
    ready: Callable[..., Prepared], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_drill: Drill) -> None:
        raise LookupError("no such thing")

    monkeypatch.setattr(Drill, "_await_health", fail)
    monkeypatch.setattr("halab.runfile.judge", fail)
    outcome = Drill(ready(), Told()).run()
    assert steps(outcome) == ["planned", "injected", "observed", "healed", "gone"]
    assert (outcome.status, outcome.exit_code) == ("UNKNOWN", 2)
    assert "a defect of halab: LookupError at test_drill.py" in outcome.problems[0]
    assert outcome.problems[1].startswith("not judged: a defect of halab: TypeError")
    assert "Traceback" in (outcome.folder / "events.jsonl").read_text()


def test_the_scenario_is_kept_so_that_it_can_be_repeated(ready: Callable[..., Prepared]) -> None:
    prepared = ready(faults=[], before=1, after=0, promises={"lost_writes": {"at_most": 0}})
    outcome = Drill(prepared, Told()).run()
    again = scenarios.load(outcome.folder / "scenario.yml", cluster=prepared.cluster)
    assert again == prepared.scenario


def test_a_recorder_that_dies_ends_the_drill(ready: Callable[..., Prepared]) -> None:
    prepared = ready(before=60)

    class Killer(Told):
        def phase(self, name: str) -> None:
            super().phase(name)
            if "before any fault" not in name:
                return
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                words = path.read_bytes().split(b"\0") if path.exists() else []
                if b"halab.recorder" in words and str(drill_folder()).encode() in words:
                    os.kill(int(path.parent.name), signal.SIGKILL)

    def drill_folder() -> Path:
        return Path(os.environ["HALAB_RUNS"], "latest").resolve()

    outcome = Drill(prepared, Killer()).run()
    assert outcome.problems[0].startswith("the recorder died while recording for 60 s before any fault")
    assert (outcome.status, outcome.exit_code) == ("UNKNOWN", 2)


def test_two_drills_on_one_cluster_are_refused_and_findings_say_who(ready: Callable[..., Prepared]) -> None:
    prepared = ready()
    with pytest.raises(Busy, match=f"in use by process {os.getpid()}, run test"):
        Lock(prepared.site.lock_path).take("cluster scratch", run="another")
    assert findings(prepared.site) == [f"process {os.getpid()} is at work on this cluster: test"]
