"""What runs on the node for disk faults, as far as it needs no disk of its own: the rest is in tests/faults."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.unit.faults.titles import titled

from ansible_collections.halab.faults.plugins.module_utils import disk_calls, disk_limits, disk_mounts, disk_space
from ansible_collections.halab.faults.plugins.module_utils.disk_calls import Calls
from ansible_collections.halab.faults.plugins.module_utils.disk_limits import Limit
from ansible_collections.halab.faults.plugins.module_utils.disk_space import Fill

ROOT = Path(__file__).resolve().parents[3]
MOUNTS = """\
25 1 252:1 / / rw,relatime - ext4 /dev/vda1 rw
40 25 8:16 / /srv/with\\040space rw,noatime shared:3 - xfs /dev/sdb rw
41 25 8:32 / /srv rw - ext4 /dev/sdc rw
42 25 0:50 / /srv/with\\040space ro - tmpfs tmpfs rw
"""


def test_mounts_with_spaces_and_one_over_another() -> None:
    mounts = disk_mounts.mounted(MOUNTS)
    assert [mount.point for mount in mounts] == ["/", "/srv/with space", "/srv", "/srv/with space"]
    assert disk_mounts.holding(Path("/usr"), mounts).device == "252:1"
    covering = mounts[-1]
    assert covering.read_only
    assert not mounts[1].read_only


def test_the_innermost_mount_holds(tmp_path: Path) -> None:
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    text = f"1 0 8:1 / / rw - ext4 x rw\n2 1 8:2 / {tmp_path}/a rw - ext4 y rw\n3 1 8:3 / {tmp_path} rw - ext4 z rw\n"
    mounts = disk_mounts.mounted(text)
    assert disk_mounts.holding(inner, mounts).device == "8:2"
    assert disk_mounts.holding(tmp_path, mounts).device == "8:3"
    (tmp_path / "link").symlink_to(inner)
    assert disk_mounts.holding(tmp_path / "link", mounts).device == "8:2", "what a link leads to counts"


def test_unnamed_files_leave_no_trace(tmp_path: Path) -> None:
    before = tmp_path.stat().st_mtime_ns
    with disk_mounts.unnamed_file(tmp_path) as handle:
        os.write(handle, b"x")
        assert list(tmp_path.iterdir()) == []
    assert tmp_path.stat().st_mtime_ns == before


def test_only_folders_of_faults_are_emptied(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/file").touch()
    (tmp_path / ".halab-fault-link").symlink_to(tmp_path / "data")
    for name in ("data", ".halab-fault-link", ".halab-fault-none"):
        assert disk_space.COMMANDS["disk-unfill"]([str(tmp_path / name)]) == 0
    assert (tmp_path / "data/file").exists()
    own = tmp_path / ".halab-fault-1"
    own.mkdir()
    (own / "fill-0").touch()
    assert disk_space.COMMANDS["disk-unfill"]([str(own)]) == 0
    assert not own.exists()


def test_space_is_not_gone_while_the_folder_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill = Fill(kind="full", folder=tmp_path / ".halab-fault-1", leave=0, everyone=False)
    assert Fill.of(fill.words()) == fill
    assert disk_space.COMMANDS["disk-space"](fill.words()) == 0
    assert capsys.readouterr().out.startswith("gone\nwriting 16384 bytes as a user succeeds")
    fill.folder.mkdir()
    assert disk_space.COMMANDS["disk-space"](fill.words()) == 0
    assert capsys.readouterr().out.startswith("free\n"), "a folder alone takes no space"


def test_a_file_that_grows_where_nothing_can_be_reserved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Written then, and by what does not compress."""

    def refuse(*_arguments: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(disk_space, "_reserve", refuse)
    assert not disk_space.can_reserve(tmp_path)
    with (tmp_path / "file").open("wb+") as file:
        disk_space._extend(file.fileno(), 0, 3 << 20)
        assert os.fstat(file.fileno()).st_size == 3 << 20
        assert file.read(4096).count(0) < 100


def group_of(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder


def limit(group: Path, wanted: dict[str, int]) -> Limit:
    files = disk_limits.files_of(group, wanted)
    former = {file: disk_limits.value(group, file, "8:16") for file in files}
    return Limit(group=str(group), device="8:16", point="/", wanted=wanted, former=former)


def test_limits_of_version_1(tmp_path: Path) -> None:
    group = group_of(
        tmp_path, {"blkio.throttle.write_iops_device": "8:0 7\n8:16 9\n", "blkio.throttle.read_bps_device": ""}
    )
    made = limit(group, {"write_iops": 5, "read_bps": 8192})
    assert Limit.load(made.dump()) == made
    assert disk_limits.lines(made) == [
        ("blkio.throttle.read_bps_device", "8:16 8192"),
        ("blkio.throttle.write_iops_device", "8:16 5"),
    ]
    assert disk_limits.former_lines(made) == [
        ("blkio.throttle.read_bps_device", "8:16 0"),
        ("blkio.throttle.write_iops_device", "8:16 9"),
    ]


def test_limits_of_version_2(tmp_path: Path) -> None:
    group = group_of(tmp_path, {"io.max": "8:0 rbps=max wbps=max riops=max wiops=3\n"})
    made = limit(group, {"write_iops": 5, "write_bps": 8192})
    assert disk_limits.lines(made) == [("io.max", "8:16 wbps=8192 wiops=5")]
    assert disk_limits.former_lines(made) == [("io.max", "8:16 rbps=max wbps=max riops=max wiops=max")]
    (group / "io.max").write_text("8:16 rbps=max wbps=9 riops=max wiops=3\n")
    made = limit(group, {"write_iops": 5})
    assert disk_limits.former_lines(made) == [("io.max", "8:16 rbps=max wbps=9 riops=max wiops=3")]


def test_groups_that_limit_nothing(tmp_path: Path) -> None:
    assert disk_limits.files_of(tmp_path, {"write_iops": 5}) == []
    gone = Limit(
        group=str(tmp_path / "gone"), device="8:16", point="/", wanted={"write_iops": 5}, former={"io.max": ""}
    )
    assert disk_limits.COMMANDS["disk-unlimit"]([gone.dump()]) == 0


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"write_iops": 5}, (5, 4096)),
        ({"write_iops": 1}, (3, 4096)),
        ({"write_bps": 65536}, (4, 16384)),
        ({"write_bps": 1 << 30}, (1024, 1 << 20)),
        ({"write_iops": 5000, "write_bps": 40960}, (10, 4096)),
        ({"read_iops": 5}, (0, 0)),
    ],
)
def test_work_for_about_a_second(wanted: dict[str, int], expected: tuple[int, int]) -> None:
    assert disk_limits.work(wanted, "write") == expected


def calls(**changes: Any) -> Calls:
    plain: dict[str, Any] = {
        "strace": "/usr/bin/strace", "unit": "", "process": "halab-test-sleeper", "syscalls": ("fsync", "fdatasync"),
        "alter": "error=EIO", "files": ("/a",),
    }  # fmt: skip
    return Calls(**{**plain, **changes})


def test_the_tracer_alters_what_was_asked() -> None:
    argv = calls().argv("halab-calls-1", [7, 8])
    assert argv[0] == "halab-calls-1"
    assert "inject=fsync,fdatasync:error=EIO" in argv
    assert argv[argv.index("-P") + 1] == "/a"
    assert argv[-2:] == ["-p", "7,8"]
    assert Calls.load(calls().dump()) == calls()


def test_neither_faults_nor_their_authors_are_targets() -> None:
    code = "import time; time.sleep(60)  # halab-test-sleeper"
    titles = {
        "target": [sys.executable, "-c", code],
        "tracer": ["halab-calls-1", "-c", code],
        "agent": [sys.executable, "-c", code, "/x/.agent-1.pyz"],
    }
    started = {name: subprocess.Popen(argv, executable=sys.executable) for name, argv in titles.items()}
    try:
        for process in started.values():
            titled(process, "halab-test-sleeper")
        found = {process.pid for process in disk_calls.targets(calls())}
        assert found == {started["target"].pid}
        assert set(disk_calls.tracers(started["target"].pid).values()) == {0}
        assert os.getpid() not in {process.pid for process in disk_calls.targets(calls(process="pytest|python"))}
    finally:
        for process in started.values():
            process.kill()
            process.wait()


def test_no_tracer_is_no_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / ".drill.calls").write_text(json.dumps({"altered": 3, "problem": ""}))
    assert disk_calls.COMMANDS["disk-traced"]([str(tmp_path), "drill", "0", calls().dump()]) == 0
    assert capsys.readouterr().out.startswith("none\n")
    assert disk_calls.COMMANDS["disk-untrace"]([str(tmp_path), "drill"]) == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("playbook", ["disk", "corrupt"])
def test_areas_are_where_the_roles_put_them(playbook: str) -> None:
    """Playbooks cannot read the defaults of roles, so they repeat them."""
    text = (ROOT / f"playbooks/faults/{playbook}.yml").read_text()
    for role, variable in (("etcd", "etcd_data_dir"), ("redis", "redis_data_dir"), ("patroni", "patroni_data_dir")):
        path = ROOT / f"collections/ansible_collections/halab/stack/roles/{role}/defaults/main.yml"
        default = str(yaml.safe_load(path.read_text())[variable])
        shown = f"default('{default.partition('{{')[0].rstrip()}'"
        assert f"{variable} | {shown}" in text
