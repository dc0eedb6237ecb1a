"""The switch of a lab's machines with an engine that is a file; the kernel's part is tested on real machines."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ansible_collections.halab.lab.plugins.module_utils import machine_limits, switch, switchboard

ENGINE = """\
#!/usr/bin/env python3
import pathlib, sys
folder = pathlib.Path(__file__).resolve().parent
status, verb = folder / "status", sys.argv[1]
with (folder / "log").open("a") as log:
    log.write(verb + "\\n")
if sys.argv[-1] != "lab-1-m1":
    sys.exit("no such container " + sys.argv[-1])
if verb == "inspect":
    template = sys.argv[sys.argv.index("--format") + 1]
    print(template.replace("{{{{.State.Status}}}}", status.read_text()).replace("{{{{.State.Pid}}}}", "0"))
    sys.exit()
allowed = {{"kill": "running", "pause": "running", "unpause": "paused", "start": "exited"}}
if status.read_text() != allowed[verb]:
    sys.exit(verb + ": container state improper")
status.write_text({{"kill": "exited", "pause": "paused", "unpause": "running", "start": "running"}}[verb])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A lab folder with one machine that has no disks."""
    made = tmp_path / "a store" / "lab-1"
    (made / "hostkeys" / "m1").mkdir(parents=True)
    engine = made / "engine"
    engine.write_text(ENGINE.format())
    engine.chmod(0o755)
    (made / "status").write_text("running")

    def write(path: Path, content: bytes, mode: int) -> None:
        path.write_bytes(content)
        path.chmod(mode)

    # The engine's name is a word of the script, so it must be one here too.
    link = tmp_path / "engine"
    link.symlink_to(engine)
    switchboard.install(made, str(link), write)
    return made


@pytest.fixture
def power(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The switch, where whoever runs the tests need not become root."""
    tools = folder.parent / "tools"
    tools.mkdir()
    (tools / "id").write_text("#!/bin/sh\necho 0\n")
    (tools / "id").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{Path(sys.executable).parent}:/usr/bin:/bin")
    return folder / "power"


def turn(power: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([power, *words], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("status", "says"), [("running", "on"), ("paused", "frozen"), ("exited", "off")])
def test_state_is_said_in_one_question_to_the_engine(folder: Path, power: Path, status: str, says: str) -> None:
    (folder / "status").write_text(status)
    assert turn(power, "state", "m1").stdout == f"{says}\n"
    assert (folder / "log").read_text() == "inspect\n"


@pytest.mark.parametrize(
    ("verbs", "state"),
    [
        (["off", "off"], "off"),
        (["on", "on"], "on"),
        (["freeze", "freeze"], "frozen"),
        (["freeze", "thaw", "thaw"], "on"),
        (["thaw"], "on"),
        (["off", "thaw"], "off"),
        (["off", "on"], "on"),
        (["reset"], "on"),
        (["off", "reset"], "on"),
    ],
)
def test_verbs_may_be_said_twice(power: Path, verbs: list[str], state: str) -> None:
    for verb in verbs:
        done = turn(power, verb, "m1")
        assert done.returncode == 0, done.stderr
    assert turn(power, "state", "m1").stdout == f"{state}\n"


@pytest.mark.parametrize(
    ("before", "words", "says"),
    [
        ([], ["off", "m9"], r"'m9': is no machine of lab-1. It has m1"),
        ([], ["state", "m9"], r"'m9': is no machine"),
        ([], ["explode", "m1"], r"'explode': say one of off, on,"),
        ([], ["off"], r"'': is no machine"),
        ([], ["off", "m1", "now"], r"'off': say one of"),
        ([], ["limit", "m1", "speed=9"], r"'speed=9': say NAME=VALUE with one of memory, cpu"),
        ([], ["limit", "m1", "cpu=-3"], r"'cpu=-3'"),
        ([], ["limit", "m1", "cpu=nan"], r"'cpu=nan'"),
        ([], ["lose", "m1"], r"m1: has no disk of its own.*volumes"),
        (["off"], ["freeze", "m1"], r"m1: is off.*power on m1"),
        (["off"], ["limit", "m1", "cpu=3"], r"m1: is off"),
        (["freeze"], ["on", "m1"], r"m1: is frozen, not off.*power thaw m1"),
    ],
)
def test_what_cannot_be_is_said_with_a_way_out(power: Path, before: list[str], words: list[str], says: str) -> None:
    for verb in before:
        turn(power, verb, "m1")
    state = turn(power, "state", "m1").stdout
    done = turn(power, *words)
    assert done.returncode == 1
    assert re.search(says, done.stderr), done.stderr
    assert turn(power, "state", "m1").stdout == state


def test_limits_of_a_machine_without_power_are_off(power: Path) -> None:
    turn(power, "off", "m1")
    assert turn(power, "limit", "m1", "get").stdout == "off\n"


def test_the_same_sources_make_the_same_switch(folder: Path, tmp_path: Path) -> None:
    first = (folder / "switch.pyz").read_bytes()
    switchboard.install(tmp_path, "podman", lambda path, content, _mode: path.write_bytes(content) and None)
    assert (tmp_path / "switch.pyz").read_bytes() == first
    assert "__main__.py" in zipfile.ZipFile(tmp_path / "switch.pyz").namelist()


def test_disks_belong_to_one_machine_only(tmp_path: Path) -> None:
    """The disks of `pg1` are not those of `pg1-b`, though their names begin alike."""
    for host in ("pg1", "pg1-b"):
        (tmp_path / "mounts" / host / "data").mkdir(parents=True)
    (disk,) = switch.Machine("podman", tmp_path, "pg1").volumes
    assert disk == (tmp_path / "disks/pg1-data.ext4", tmp_path / "mounts/pg1/data")


@pytest.fixture
def version_1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups of version 1, as files."""
    return _tree(tmp_path, monkeypatch, "4:memory:/box\n3:blkio:/box\n1:cpu,cpuacct:/box\n0::/box\n", {
        "memory/box/memory.limit_in_bytes": "9223372036854771712\n",
        "cpu/box/cpu.cfs_quota_us": "-1\n",
        "cpu/box/cpu.cfs_period_us": "100000\n",
        "blkio/box/blkio.throttle.write_iops_device": "7:1 50\n",
        "blkio/box/blkio.throttle.write_bps_device": "",
    })  # fmt: skip


@pytest.fixture
def version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Control groups of version 2; init lives in a group of its own below the machine's."""
    return _tree(tmp_path, monkeypatch, "0::/engine/box/init.scope\n", {
        "engine/box/memory.max": "max\n",
        "engine/box/cpu.max": "max 100000\n",
        "engine/box/io.max": "7:1 rbps=max wbps=max riops=max wiops=50\n",
    })  # fmt: skip


def _tree(folder: Path, monkeypatch: pytest.MonkeyPatch, groups: str, files: dict[str, str]) -> Path:
    monkeypatch.setattr(machine_limits, "CGROUPS", folder / "cgroup")
    monkeypatch.setattr(machine_limits, "PROC", folder / "proc")
    for name, text in {"../proc/9/cgroup": groups, **files}.items():
        (folder / "cgroup").mkdir(exist_ok=True)
        path = folder / "cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder / "cgroup"


SUBJECT = machine_limits.Subject(9, ("7:1",))
FREE = {"memory": "max", "cpu": "max", "write_iops": "50", "write_bps": "max"}


@pytest.mark.parametrize("version", ["version_1", "version_2"])
def test_limits_are_read_alike_in_both_versions(request: pytest.FixtureRequest, version: str) -> None:
    request.getfixturevalue(version)
    assert machine_limits.read(SUBJECT) == FREE


def test_limits_are_written_as_version_1_wants_them(version_1: Path) -> None:
    for name, value in {"memory": "1000000", "cpu": "33.333", "write_bps": "4096", "write_iops": "max"}.items():
        machine_limits.write(SUBJECT, name, value)
    texts = {path.name: path.read_text() for path in version_1.rglob("*") if path.is_file()}
    assert texts["memory.limit_in_bytes"] == "1000000"
    assert texts["cpu.cfs_quota_us"] == "33333"
    assert texts["blkio.throttle.write_bps_device"] == "7:1 4096"
    assert texts["blkio.throttle.write_iops_device"] == "7:1 0"
    assert machine_limits.read(SUBJECT)["cpu"] == "33.333", "the same quota comes back from what was read"
    machine_limits.write(SUBJECT, "cpu", "max")
    machine_limits.write(SUBJECT, "memory", "max")
    assert (version_1 / "cpu/box/cpu.cfs_quota_us").read_text() == "-1"
    assert (version_1 / "memory/box/memory.limit_in_bytes").read_text() == "-1"


def test_limits_are_written_as_version_2_wants_them(version_2: Path) -> None:
    for name, value in {"memory": "1000000", "cpu": "150"}.items():
        machine_limits.write(SUBJECT, name, value)
    assert (version_2 / "engine/box/memory.max").read_text() == "1000000"
    assert (version_2 / "engine/box/cpu.max").read_text() == "150000 100000"
    machine_limits.write(SUBJECT, "write_iops", "5")
    assert (version_2 / "engine/box/io.max").read_text() == "7:1 wiops=5"
    machine_limits.write(SUBJECT, "memory", "max")
    assert (version_2 / "engine/box/memory.max").read_text() == "max"


def test_a_host_without_control_groups_says_so_when_asked_for_one(version_2: Path) -> None:
    (version_2 / "engine/box/io.max").unlink()
    assert machine_limits.read(SUBJECT) == {"memory": "max", "cpu": "max"}
    with pytest.raises(machine_limits.LimitError, match=r"io\.max: there is no such file"):
        machine_limits.write(SUBJECT, "write_iops", "5")
    with pytest.raises(machine_limits.LimitError, match="no disk of its own"):
        machine_limits.write(machine_limits.Subject(9, ()), "write_bps", "5")


def test_disks_with_different_limits_are_refused(version_1: Path) -> None:
    with pytest.raises(machine_limits.LimitError, match="different limits"):
        machine_limits.read(machine_limits.Subject(9, ("7:1", "7:2")), ("write_iops",))
