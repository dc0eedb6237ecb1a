"""Pressure on real machines, measured by what suffers from it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.faults.support.lab import ModuleFailed
from tests.faults.support.machines import Node, Nodes

from ansible_collections.halab.faults.plugins.module_utils import pressure_host, pressure_units

pytestmark = [pytest.mark.live, pytest.mark.slow]

USED = "cut -d' ' -f14 /proc/$(systemctl show -P MainPID busy.service)/stat"
SOCKET = "/srv/data/pg/.s.PGSQL.5432"
ASK = "cd / && su postgres -c 'timeout 3 psql -h /srv/data/pg -Atc \"select 6612\"' 2>&1"
START = """\
cd / && bin=$(ls -d /usr/lib/postgresql/*/bin)
install -d -o postgres /srv/data/pg && su postgres -c "$bin/initdb -N -A peer -D /srv/data/pg" >/dev/null
systemd-run --quiet --collect --unit=scratch --uid=postgres $bin/postgres -D /srv/data/pg -c fsync=off \\
  -c unix_socket_directories=/srv/data/pg -c listen_addresses= -c max_connections=12 -c superuser_reserved_connections=2
until su postgres -c "psql -h /srv/data/pg -Atc 'select 1'" >/dev/null 2>&1; do sleep 0.1; done
"""


@contextlib.contextmanager
def busy(node: Node) -> Iterator[None]:
    """A service of another user that always computes."""
    node.run("systemd-run --quiet --collect --unit=busy --uid=nobody python3 -c 'while True: pass'")
    try:
        yield
    finally:
        node.run("systemctl stop busy.service")


@contextlib.contextmanager
def postgresql(node: Node) -> Iterator[None]:
    """A scratch server on the machine's own disk."""
    node.run(START)
    try:
        yield
    finally:
        node.run("systemctl stop scratch.service; rm -r /srv/data/pg")


def used_percent(node: Node, seconds: float = 2.0) -> float:
    """Share of a processor that the busy service gets, by the clock of its machine."""
    before, after = node.run(f"{USED}; sleep {seconds}; {USED}").split()
    return (int(after) - int(before)) / seconds


def test_stopping_slows_a_service_and_ends_when_its_injector_is_killed(node: Node) -> None:
    with busy(node):
        free = used_percent(node)
        with node.fault("pressure", kind="cpu_quota", method="stopping", unit="busy.service", percent=5) as result:
            slowed = used_percent(node)
            assert slowed < 0.7 * free, f"{free} % of a processor before, {slowed} % when stopped 95 % of the time"
            assert "stopped" in result["evidence"][0]
            node.run("pkill -KILL -f '[p]ressure-stop '")
        assert "T" not in node.run("ps -o stat= -p $(systemctl show -P MainPID busy.service)")
        assert used_percent(node) > slowed


def test_burn_takes_what_it_says(node: Node) -> None:
    with node.fault("pressure", kind="cpu_burn", workers=2, percent=30):
        assert node.run("pgrep -fc '[p]ressure-burn '") == "2"
        pids = "$(pgrep -f '[p]ressure-burn ')"
        sums = f"cat $(printf '/proc/%s/stat ' {pids}) | awk '{{used += $14 + $15}} END {{print used}}'"
        before, after = node.run(f"{sums}; sleep 2; {sums}").split()
        assert 5 <= (int(after) - int(before)) / 2 <= 75


@pytest.mark.thorough
def test_hog_dies_with_its_machine_short_of_memory(nodes: Nodes) -> None:
    """The kernel kills the hog, not a neighbour: it is marked, and the limit comes from outside."""
    node, switch = nodes["m1"], str(nodes.controller.switch)
    with busy(node), node.fault("pressure", kind="memory_hog", bytes=200_000_000):
        assert node.run("cat /proc/$(pgrep -f '[p]ressure-hold-memory ')/oom_score_adj") == "1000"
        wanted = {"host": "m1", "command": [switch, "limit", "m1"], "memory": 150_000_000}
        with contextlib.suppress(ModuleFailed), nodes.controller.fault("limits", **wanted):
            node.await_holds("! pgrep -f '[p]ressure-hold-memory '", within_s=45)
        node.await_holds("! pgrep -f '[p]ressure-hold-memory '", within_s=45)
        assert node.holds("systemctl is-active busy.service")


def test_hog_writes_and_leaves_no_file(node: Node) -> None:
    sectors = "awk '/^write_bytes/ {print $2}' /proc/$(pgrep -f '[p]ressure-write ')/io"
    free = node.run("stat -f -c %f /srv/data")
    with node.fault("pressure", kind="io_hog", path="/srv/data", bytes=4_000_000):
        before, after = node.run(f"{sectors}; sleep 1; {sectors}").split()
        assert int(after) > int(before)
        assert node.run("ls -A /srv/data") == "lost+found"
    assert node.run("stat -f -c %f /srv/data") == free


def test_sessions_are_exhausted_and_stay_so(node: Node) -> None:
    with postgresql(node):
        with node.fault("pressure", kind="connections", socket=SOCKET) as result:
            assert "holds 12 connections; one more is refused" in result["evidence"][0]
            assert "too many clients" in node.run(ASK, check=False)
            node.run("pkill -KILL -o -f 'postgres: .*idle$'", check=False)  # the server restarts after that
            node.await_holds(f"{ASK} | grep -q 'too many clients'", within_s=15)
        assert node.run(ASK) == "6612"
        with node.fault("pressure", kind="connections", socket=SOCKET, count=3):
            assert node.run("pgrep -fc 'postgres: .*idle$'") == "3"
            assert node.run(ASK) == "6612"


def test_descriptors_and_processes_run_out_and_come_back(node: Node) -> None:
    limits = "for p in $(pgrep -u postgres); do grep -E 'open files|processes' /proc/$p/limits; done | sort | uniq -c"
    with postgresql(node):
        before = node.run(limits)
        with node.fault("pressure", kind="files", unit="scratch.service"):
            assert "6612" not in node.run(ASK, check=False)
            assert node.holds("journalctl -u scratch | grep -q 'Too many open files'")
        assert node.run(ASK) == "6612"
        with node.fault("pressure", kind="pids", unit="scratch.service", method="rlimit"):
            assert "could not fork new process" in node.run(ASK, check=False)
        assert node.run(ASK) == "6612"
        assert node.run(limits) == before


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"kind": "cpu_burn", "percent": 120}, r"percent = 120: is not a number from 1 to 100"),
        ({"kind": "cpu_burn", "workers": -1}, r"workers = -1"),
        ({"kind": "cpu_burn", "ttl": -1}, r"ttl = -1"),
        ({"kind": "cpu_burn", "method": "stopping"}, r"method = stopping: is for kind = cpu_quota"),
        ({"kind": "cpu_quota", "unit": "ssh.service", "percent": 5, "method": "stopping"}, r"needs it to heal"),
        ({"kind": "cpu_quota", "unit": "none.service", "percent": 5}, r"systemd does not know it"),
        ({"kind": "cpu_quota", "percent": 5}, r"unit: is missing"),
        ({"kind": "cpu_quota", "unit": "cron.timer", "percent": 5}, r"is not the name of a service"),
        ({"kind": "memory_hog"}, r"give exactly one"),
        ({"kind": "memory_hog", "bytes": 10**15}, r"are available"),
        ({"kind": "memory_hog", "bytes": 1}, r"bytes = 1: is not a number of 1048576 or more"),
        ({"kind": "memory_hog", "bytes": 10**8, "spare": False}, r"CAP_SYS_RESOURCE.*spare: true"),
        ({"kind": "io_hog", "path": "/nowhere", "bytes": 10**7}, r"path = '/nowhere': is no folder"),
        ({"kind": "io_hog", "path": "/srv/data", "bytes": 10**12}, r"bytes free"),
        ({"kind": "connections"}, r"socket, address: give exactly one"),
        ({"kind": "connections", "address": "somewhere", "port": 1}, r"address = 'somewhere'"),
        ({"kind": "connections", "address": "127.0.0.1", "port": 0}, r"port = 0"),
        ({"kind": "connections", "socket": "/run/none"}, r"socket = '/run/none'.*cannot log in"),
        ({"kind": "connections", "socket": "/run/none", "user": "no-one"}, r"no-one cannot log in"),
        ({"kind": "connections", "address": "127.0.0.1", "port": 1, "count": -1}, r"count = -1"),
        ({"kind": "pids", "unit": "systemd-logind.service", "method": "rlimit"}, r"runs as root"),
        ({"kind": "pids", "unit": "systemd-logind.service", "method": "rlimit", "leave": 3}, r"leave = 3"),
    ],
)
@pytest.mark.thorough
def test_bad_input_is_named(node: Node, parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ModuleFailed, match=says):
        node.module("pressure", **{"id": "bad", "ttl": 20, **parameters})
    assert node.entries() == []


def test_unit_without_a_group_is_refused_with_what_works_instead(node: Node) -> None:
    """Where systemd may not limit a unit, setting its property would succeed and do nothing."""
    with busy(node):
        if node.holds("test -w /sys/fs/cgroup/system.slice/busy.service/cpu.max"):
            pytest.skip("needs a machine whose control groups cannot be written: this one's can")
        with pytest.raises(
            ModuleFailed, match=r"busy\.service.*control group.*method: stopping.*halab\.faults\.limits"
        ):
            node.module("pressure", id="bad", ttl=20, kind="cpu_quota", unit="busy.service", percent=20)


@pytest.fixture
def group() -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A control group of this host with a process that computes, as systemd would make one for a unit."""
    unit = f"halab-test-{os.getpid()}.service"
    folders = [Path("/sys/fs/cgroup") / name / unit for name in ("cpu", "memory", "pids")]
    if not all((folder.parent / "cgroup.procs").exists() and os.access(folder.parent, os.W_OK) for folder in folders):
        pytest.skip("needs a host with control groups of version 1 that may be written: root on such a kernel")
    process = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        for folder in folders:
            folder.mkdir()
            (folder / "cgroup.procs").write_text(str(process.pid))
        yield unit, process
    finally:
        process.kill()
        process.wait()
        for folder in folders:
            folder.rmdir()


def test_quota_of_a_control_group_bites_and_goes(
    group: tuple[str, subprocess.Popen[bytes]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit, process = group
    file = pressure_host.group_file(unit, process.pid, "cpu", "cpu.cfs_quota_us", "cpu.max", instead="")
    note = str(tmp_path / "note")
    command = pressure_units.COMMANDS

    def used() -> float:
        began, before = time.monotonic(), _ticks(process.pid)
        time.sleep(1)
        return (_ticks(process.pid) - before) / (time.monotonic() - began)

    command["pressure-group"]([note, str(file), "1000"])
    slowed = used()
    command["pressure-grouped"]([note])
    assert capsys.readouterr().out.startswith("limited\n")
    command["pressure-ungroup"]([note])
    command["pressure-ungroup"]([note])
    assert file.read_text().strip() == "-1"
    # A hundredth of a processor: less than a busy host leaves to anybody.
    assert slowed <= 5 < used()
    command["pressure-grouped"]([note])
    assert capsys.readouterr().out.startswith("free\n")


@pytest.mark.parametrize(
    ("controller", "name", "value"), [("memory", "memory.limit_in_bytes", "100000000"), ("pids", "pids.max", "1")]
)
def test_other_limits_come_back_exactly(
    group: tuple[str, subprocess.Popen[bytes]], tmp_path: Path, controller: str, name: str, value: str
) -> None:
    unit, process = group
    file = pressure_host.group_file(unit, process.pid, controller, name, name, instead="")
    former, note = file.read_text(), str(tmp_path / "note")
    pressure_units.COMMANDS["pressure-group"]([note, str(file), value])
    assert file.read_text() != former
    pressure_units.COMMANDS["pressure-ungroup"]([note])
    assert file.read_text() == former


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
