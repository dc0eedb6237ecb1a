"""The module process on processes of the test's own: refused, stopped, continued, killed, each with nothing left."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.faults.test_lifecycle import until
from tests.unit.faults.titles import titled

from ansible_collections.halab.faults.plugins.module_utils import (
    clock,
    process_agent,
    process_plan,
    process_select,
    procs,
)
from ansible_collections.halab.faults.plugins.module_utils.faultmodule import check_ttl
from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, heal_one, inject

Parameters = Callable[..., dict[str, Any]]
# A main process that keeps having children, which all bear the token on their command lines.
FAMILY = """
import os, subprocess, sys, time
for _ in range(2):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", sys.argv[1]])
while True:
    subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(0.2)", sys.argv[1]]).wait()
"""


@pytest.fixture
def token() -> str:
    return f"victim-{uuid.uuid4().hex}"


@pytest.fixture
def victim(token: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process with the token on its command line, ended in any case."""
    command = [sys.executable, "-c", "import time; time.sleep(600)", token]
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            titled(process, token)
            yield process
        finally:
            process.kill()


@pytest.fixture(autouse=True)
def only_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan sees this test's own processes and no others, lest a mistake here reaches those of the machine."""
    real = procs.every

    def kin() -> Iterator[procs.Process]:
        everyone = {process.pid: process for process in real()}
        for process in everyone.values():
            line = process
            while line.pid != os.getpid() and line.ppid in everyone:
                line = everyone[line.ppid]
            if line.pid == os.getpid():
                yield process

    monkeypatch.setattr(process_plan.procs, "every", kin)


@pytest.fixture
def parameters(ledger_dir: Path, token: str) -> Iterator[Parameters]:
    """Parameters of the module, as Ansible would pass them. What a test injected is healed in any case."""

    def build(**changes: Any) -> dict[str, Any]:
        return {
            "state": "injected", "id": "drill-1", "ttl": 60, "ledger_dir": str(ledger_dir), "cluster": "", "run": "",
            "kind": "stop", "unit": None, "which": None, "target": None, "name": None, "match": token, "count": None,
            "largest": False, "times": 0, "observed_within": 3, "gone_within": 3, **changes,
        }  # fmt: skip

    yield build
    for entry in Ledger(ledger_dir).contents().entries:
        heal_one(Ledger(ledger_dir), entry.id)


def act(parameters: dict[str, Any], *, check_mode: bool = False) -> dict[str, Any]:
    ledger = Ledger(Path(parameters["ledger_dir"]))
    if parameters["state"] == "healed":
        return heal_one(ledger, parameters["id"], check_mode=check_mode)
    check_ttl(parameters["ttl"])
    return inject(process_plan.plan_of(parameters), ledger, check_mode=check_mode)


def state(pid: int) -> str:
    found = procs.read(pid)
    return found.state if found else "gone"


def test_stop_and_continue(parameters: Parameters, victim: subprocess.Popen[bytes], ledger_dir: Path) -> None:
    planned = act(parameters(), check_mode=True)
    assert planned["changed"] and state(victim.pid) != "T" and not ledger_dir.exists()
    injected = act(parameters())
    assert injected["changed"] and state(victim.pid) == "T"
    assert f"stopped: {victim.pid} (" in injected["evidence"][0]
    assert not act(parameters())["changed"]
    assert act(parameters(state="healed"))["changed"]
    assert state(victim.pid) != "T"
    assert not act(parameters(state="healed"))["changed"]
    assert not (ledger_dir / ".drill-1.record").exists()


def test_a_family_that_keeps_growing_is_stopped_whole(parameters: Parameters, token: str) -> None:
    with subprocess.Popen([sys.executable, "-c", FAMILY, token], start_new_session=True) as family:
        try:
            until(lambda: len(bearers(token)) >= 4, 10, "the family is there")
            act(parameters())
            assert {process.state for process in bearers(token)} == {"T"}
            act(parameters(state="healed"))
            assert "T" not in {process.state for process in bearers(token)}
            act(parameters(id="drill-2", kind="kill"))
            assert bearers(token) == []
            act(parameters(id="drill-2", state="healed"))
        finally:
            os.killpg(family.pid, signal.SIGKILL)


def bearers(token: str) -> list[procs.Process]:
    return [process for process in procs.every() if token in process.title and process.pid != os.getpid()]


def test_stopped_by_others_is_not_ours(
    parameters: Parameters, victim: subprocess.Popen[bytes], ledger_dir: Path
) -> None:
    victim.send_signal(signal.SIGSTOP)
    until(lambda: state(victim.pid) == "T", 5, "stopped by the test")
    with pytest.raises(FaultError, match="is stopped already"):
        act(parameters())
    assert not ledger_dir.exists()


def test_a_stopped_process_that_died_meanwhile_does_not_hold_the_heal(
    parameters: Parameters, victim: subprocess.Popen[bytes]
) -> None:
    act(parameters())
    victim.kill()
    victim.wait(timeout=5)
    assert act(parameters(state="healed"))["changed"]


@pytest.mark.parametrize("kind", ["kill", "terminate"])
def test_kill_of_a_process_without_a_unit(parameters: Parameters, victim: subprocess.Popen[bytes], kind: str) -> None:
    """It ends, and the heal claims nothing: nobody starts it again."""
    act(parameters(kind=kind))
    assert victim.wait(timeout=5) == {"kill": -signal.SIGKILL, "terminate": -signal.SIGTERM}[kind]
    assert not act(parameters(kind=kind))["changed"], "twice, although the selection is empty now"
    assert act(parameters(kind=kind, state="healed"))["changed"]


def test_who_ignores_sigterm_is_not_observed(parameters: Parameters, token: str, ledger_dir: Path) -> None:
    script = "import signal, time; signal.signal(15, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", script, token], stdout=subprocess.PIPE) as stubborn:
        assert stubborn.stdout is not None
        stubborn.stdout.readline()
        with pytest.raises(FaultError, match=r"not observed within 1 s.*left: .*not be undone.*not gone within 1 s"):
            act(parameters(kind="terminate", observed_within=1, gone_within=1))
        assert stubborn.poll() is None and (ledger_dir / "drill-1.json").exists()
        stubborn.kill()
        stubborn.wait(timeout=5)
        act(parameters(state="healed"))
    assert not list(ledger_dir.glob("[!.]*"))


def test_ttl_continues_what_was_stopped(
    parameters: Parameters, victim: subprocess.Popen[bytes], ledger_dir: Path
) -> None:
    act(parameters(ttl=1))
    until(lambda: state(victim.pid) != "T" and not list(ledger_dir.glob("[!.]*")), 7, "healed within ttl + 5 s")


def test_a_record_of_another_boot_is_nobodys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Numbers and start times begin anew with each boot, so an old record must not reach a new process."""
    record = process_agent.Record(tmp_path / "record")
    me = procs.read(os.getpid())
    assert me is not None
    record.add([me])
    assert record.read() == ([me.key], 1)
    monkeypatch.setattr(clock, "boot_id", lambda: "another")
    assert record.read() == ([], 0)


def test_one_thread_that_runs_is_not_stopped(victim: subprocess.Popen[bytes]) -> None:
    found = procs.read(victim.pid)
    assert found is not None and not process_agent.stopped(found)
    victim.send_signal(signal.SIGSTOP)
    until(lambda: process_agent.stopped(found), 5, "all threads are stopped")
    victim.send_signal(signal.SIGCONT)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ttl": -1}, "ttl = -1"),
        ({"ttl": None}, "ttl: is missing"),
        ({"match": None}, "none given. Select processes by one of"),
        ({"target": "etcd"}, "target and name, match given"),
        ({"target": "etcd", "unit": "etcd", "match": None}, "unit and target given"),
        ({"match": "("}, "match = '(': is not a regular expression"),
        ({"match": ".*"}, "match = '.*': matches every process"),
        ({"match": "no-such-process-anywhere"}, "no such process runs here"),
        ({"name": "/usr/bin/python3"}, "is a path"),
        ({"name": "no-such-name"}, "no such process runs here"),
        ({"target": "keepalived", "match": None}, "keepalived: no such process runs here"),
        ({"which": "all"}, "which = 'all': belongs to unit"),
        ({"target": "etcd", "match": None}, "etcd: no such process runs here"),
        ({"unit": "etcd", "match": None, "count": 2}, "a unit has one main process"),
        ({"unit": "etcd", "match": None, "largest": True}, "a unit has one main process"),
        ({"count": 0}, "count = 0"),
        ({"count": -3}, "count = -3"),
        ({"times": 3}, "belongs to kind: crash_loop"),
        ({"kind": "crash_loop", "times": -1}, "times = -1"),
        ({"kind": "crash_loop", "times": 10001}, "times = 10001"),
        ({"kind": "crash_loop"}, "for the main process of a unit"),
        ({"observed_within": 0}, "observed_within = 0"),
        ({"gone_within": -1}, "gone_within = -1"),
        ({"id": "../escape"}, "id = '../escape'"),
    ],
    ids=str,
)
def test_refused(
    parameters: Parameters, victim: subprocess.Popen[bytes], ledger_dir: Path, changes: dict[str, Any], says: str
) -> None:
    asked = parameters(**changes)
    with pytest.raises(Exception, match=re.escape(says)):
        act(asked)
    assert state(victim.pid) != "T" and victim.poll() is None and not ledger_dir.exists()


def test_a_unit_without_systemd_is_refused(
    parameters: Parameters, ledger_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "ansible_collections.halab.faults.plugins.module_utils.service_units.has_systemd", lambda: False
    )
    with pytest.raises(FaultError, match=r"systemd does not manage this machine.*name or match"):
        act(parameters(unit="etcd", match=None))
    assert not ledger_dir.exists()


def test_similar_processes_are_named(parameters: Parameters, victim: subprocess.Popen[bytes], token: str) -> None:
    with pytest.raises(FaultError, match=rf"Similar ones are .*{victim.pid} \("):
        act(parameters(match=f"{token} with more words"))


def test_no_permission_is_refused(parameters: Parameters, victim: subprocess.Popen[bytes], ledger_dir: Path,
                                  monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    def forbidden(_pid: int, _number: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patched:
        patched.setattr(process_plan.os, "kill", forbidden)
        with pytest.raises(FaultError, match=rf"process {victim.pid} .*may not be signalled.*become: true"):
            act(parameters())
    assert not ledger_dir.exists() and state(victim.pid) != "T"


def test_its_own_kin_is_never_chosen(parameters: Parameters, ledger_dir: Path) -> None:
    """A pattern that finds only who carries out the fault, and PID 1."""
    me = procs.read(os.getpid())
    assert me is not None
    with pytest.raises(FaultError, match=r"must not be touched.*it carries out the fault"):
        act(parameters(match=re.escape(me.title) + "$"))
    assert not ledger_dir.exists()


def test_processes_of_containers_belong_to_other_machines(
    parameters: Parameters, victim: subprocess.Popen[bytes], ledger_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host shows what runs in its containers; it is refused there, and reached by a ledger inside."""
    spaces = {"self": "pid:[1]", str(victim.pid): "pid:[2]"}
    monkeypatch.setattr(process_select, "_namespace", lambda pid: spaces.get(pid, "pid:[1]"))
    with pytest.raises(FaultError, match=rf"must not be touched, as {victim.pid} .*in a container of this machine"):
        act(parameters())
    assert not ledger_dir.exists() and state(victim.pid) != "T"
