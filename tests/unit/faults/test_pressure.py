"""Pressure without a machine: what is refused, what is planned, and the commands on processes of the test's own."""

from __future__ import annotations

import os
import pwd
import resource
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.halab.faults.plugins.module_utils import (
    pressure,
    pressure_connections,
    pressure_host,
    pressure_record,
    pressure_units,
    procs,
)
from ansible_collections.halab.faults.plugins.module_utils.agent import Agent
from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, heal_one, inject
from ansible_collections.halab.faults.plugins.modules.pressure import OPTIONS

Parameters = Callable[..., dict[str, Any]]
SPIN = [sys.executable, "-c", "import time\nwhile True: time.sleep(60)"]


@pytest.fixture
def parameters(ledger_dir: Path) -> Parameters:
    def build(**changes: Any) -> dict[str, Any]:
        defaults = {name: option.get("default") for name, option in OPTIONS.items()}
        common = {"id": "less", "ttl": 30, "cluster": "", "run": "", "ledger_dir": str(ledger_dir)}
        return {**common, **defaults, **changes}

    return build


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SPIN) as started:
        yield started
        started.kill()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"kind": None}, r"kind: is missing"),
        ({"kind": "cpu_burn", "percent": 0}, r"percent = 0: is not a number from 1 to 100"),
        ({"kind": "cpu_burn", "workers": -2}, r"workers = -2"),
        ({"kind": "cpu_burn", "method": "rlimit"}, r"method = rlimit: is for kind = pids"),
        ({"kind": "memory_hog", "bytes": 1 << 20, "percent": 5}, r"give exactly one"),
        ({"kind": "memory_hog", "percent": 201}, r"percent = 201"),
        ({"kind": "memory_hog", "bytes": 1 << 60}, r"are available.*spare: false"),
        ({"kind": "io_hog", "bytes": 1 << 20}, r"path: is missing"),
        ({"kind": "io_hog", "path": "/nowhere", "bytes": 1 << 20}, r"path = '/nowhere'"),
        ({"kind": "io_hog", "path": "/", "bytes": 1 << 60}, r"bytes free"),
        ({"kind": "io_hog", "path": "/"}, r"bytes: is missing"),
        ({"kind": "connections"}, r"socket, address: give exactly one"),
        ({"kind": "connections", "address": "127.0.0.1"}, r"port: is missing"),
        ({"kind": "connections", "address": "x", "port": 80}, r"address = 'x'"),
        ({"kind": "connections", "address": "127.0.0.1", "port": 1, "count": -1}, r"count = -1"),
        ({"kind": "connections", "socket": "/nowhere"}, r"socket = '/nowhere'"),
        ({"kind": "cpu_quota", "percent": 3}, r"unit: is missing"),
        ({"kind": "memory_limit", "unit": "a.service", "bytes": 5}, r"bytes = 5"),
        ({"kind": "files", "unit": "a.service", "leave": -1}, r"leave = -1"),
    ],
)
def test_refused_before_anything_changes(
    parameters: Parameters, ledger_dir: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(FaultError, match=says):
        pressure.plan_of(parameters(**changes))
    assert not ledger_dir.exists()


@pytest.mark.parametrize(
    "wanted",
    [
        {"kind": "cpu_burn", "workers": 1, "percent": 10},
        {"kind": "memory_hog", "bytes": 20 << 20},
        {"kind": "io_hog", "bytes": 1 << 20},
    ],
    ids=lambda wanted: wanted["kind"],
)
def test_injectors_act_and_end(
    parameters: Parameters, ledger_dir: Path, tmp_path: Path, wanted: dict[str, Any]
) -> None:
    ledger, plan = Ledger(ledger_dir), pressure.plan_of(parameters(path=str(tmp_path), **wanted))
    result = inject(plan, ledger)
    assert result["evidence"]
    assert not inject(plan, ledger)["changed"]
    assert [path.name for path in tmp_path.iterdir()] == ["ledger"], "no file of a hog has a name"
    assert heal_one(ledger, "less")["evidence"] == ["no injector runs"]
    assert not pressure_record.path_of(ledger_dir, "less").exists()
    assert not heal_one(ledger, "less")["changed"]


def test_an_injector_ends_by_itself(parameters: Parameters, ledger_dir: Path) -> None:
    """Also when nobody heals: its time to live is its own."""
    plan = pressure.plan_of(parameters(kind="cpu_burn", workers=2, percent=5, ttl=2))
    words = plan.inject[0]
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, *_agent(plan, ledger_dir), *words[words.index("pressure-burn") :]], check=True
    )
    assert done.returncode == 0 and time.monotonic() - began < 6


def _agent(plan: Any, ledger_dir: Path) -> list[str]:
    agent = Agent(ledger_dir, plan.parts)
    agent.install()
    return ["-I", str(agent.path)]


def test_descriptors_run_out_and_the_limit_comes_back(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    note, command, kind = str(tmp_path / "note"), pressure_units.COMMANDS, resource.RLIMIT_NOFILE
    found = procs.read(process.pid)
    assert found is not None
    former = resource.prlimit(process.pid, kind)
    opened = len(list(Path(f"/proc/{process.pid}/fd").iterdir()))
    assert command["pressure-lower"]([note, "files", "2", "none.service", found.key]) == 0
    assert resource.prlimit(process.pid, kind) == (opened + 2, former[1])
    assert command["pressure-raise"]([note]) == command["pressure-raise"]([note]) == 0
    assert resource.prlimit(process.pid, kind) == former


def test_a_limit_that_somebody_else_changed_is_his(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    note, kind, found = str(tmp_path / "note"), resource.RLIMIT_NOFILE, procs.read(process.pid)
    assert found is not None
    pressure_units.COMMANDS["pressure-lower"]([note, "files", "0", "none.service", found.key])
    hard = resource.prlimit(process.pid, kind)[1]
    resource.prlimit(process.pid, kind, (77, hard))
    pressure_units.COMMANDS["pressure-raise"]([note])
    assert resource.prlimit(process.pid, kind) == (77, hard)


def test_what_a_killed_injector_left_stopped_goes_on(process: subprocess.Popen[bytes], tmp_path: Path) -> None:
    found = procs.read(process.pid)
    assert found is not None
    pressure_record.write(tmp_path / "note", {"stopping": [found.key, "1:1"]})
    os.kill(process.pid, 19)
    _until(lambda: _state(process.pid) == "T")
    pressure_units.COMMANDS["pressure-continue"]([str(tmp_path / "note")])
    _until(lambda: _state(process.pid) == "S")
    pressure_units.COMMANDS["pressure-continue"]([str(tmp_path / "note")])


def _state(pid: int) -> str:
    found = procs.read(pid)
    return found.state if found else ""


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_group_limit_that_somebody_else_changed_is_his(tmp_path: Path) -> None:
    note, file = str(tmp_path / "note"), tmp_path / "cpu.max"
    file.write_text("max 100000\n")
    command = pressure_units.COMMANDS
    command["pressure-group"]([note, str(file), "20000 100000"])
    file.write_text("50000 100000\n")
    command["pressure-ungroup"]([note])
    assert file.read_text() == "50000 100000\n"
    command["pressure-group"]([note, str(file), "20000 100000"])
    command["pressure-ungroup"]([note])
    assert file.read_text().strip() == "50000 100000"


def _groups(folder: Path, monkeypatch: pytest.MonkeyPatch, groups: str, *, root: str, files: list[str]) -> None:
    monkeypatch.setattr(pressure_host, "_PROC", folder / "proc")
    monkeypatch.setattr(pressure_host, "_CGROUPS", folder / "cgroup")
    (folder / "proc/self").mkdir(parents=True)
    (folder / "proc/7").mkdir()
    (folder / "proc/7/cgroup").write_text(groups)
    mount = f"30 20 0:26 {root} {folder}/cgroup rw,relatime - cgroup2 cgroup rw\n"
    (folder / "proc/self/mountinfo").write_text(mount)
    for name in files:
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("max\n")


def test_the_file_of_a_unit_is_found_below_what_the_machine_sees(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = "system.slice/etcd.service"
    _groups(tmp_path, monkeypatch, f"0::/box/{path}\n", root="/box", files=[f"{path}/memory.max"])
    found = pressure_host.group_file("etcd.service", 7, "memory", "memory.limit_in_bytes", "memory.max", instead="")
    assert found == tmp_path / "cgroup" / path / "memory.max"
    with pytest.raises(FaultError, match=r"cpu\.max cannot be written.*controller cpu is off.*Do this"):
        pressure_host.group_file("etcd.service", 7, "cpu", "cpu.cfs_quota_us", "cpu.max", instead="Do this.")


def test_a_unit_in_the_group_of_all_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on the group of the whole machine would hit every unit."""
    _groups(tmp_path, monkeypatch, "0::/\n", root="/", files=["memory.max"])
    with pytest.raises(
        FaultError, match=r"unit = 'etcd\.service': has no control group of its own for memory.*Do this"
    ):
        pressure_host.group_file("etcd.service", 7, "memory", "x", "memory.max", instead="Do this.")


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!I", len(body) + 4) + body


READY = _message(b"R", struct.pack("!I", 0)) + _message(b"S", b"a\0b\0") + _message(b"Z", b"I")
ANSWERS = {
    "ready": (READY, "", ""),
    "full": (_message(b"E", b"SFATAL\0C53300\0Msorry, too many clients already\0\0"), "53300", "too many clients"),
    "password": (_message(b"R", struct.pack("!I", 10) + b"SCRAM-SHA-256\0\0"), "", "asks for a password"),
    "closed": (b"", "", "closed the connection"),
}


@pytest.mark.parametrize("name", list(ANSWERS))
def test_a_login_understands_the_server(tmp_path: Path, name: str) -> None:
    answer, code, says = ANSWERS[name]
    path, user = str(tmp_path / "socket"), _own_name()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        asked: list[bytes] = []

        def serve() -> None:
            connection, _ = server.accept()
            asked.append(connection.recv(1024))
            # In two parts, as a network may deliver it.
            connection.sendall(answer[:3])
            connection.sendall(answer[3:])
            if not answer:
                connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        if says:
            with pytest.raises(pressure_connections.RefusedError, match=says) as refused:
                pressure_connections.login(path, user, "db")
            assert refused.value.code == code
        else:
            pressure_connections.login(path, user, "db").close()
        thread.join(timeout=5)
    assert f"user\0{user}\0database\0db\0".encode() in asked[0]


def _own_name() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name
