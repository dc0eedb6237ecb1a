"""Machines are made, kept and removed as promised."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from tests.lab.conftest import BARE, Lab

pytestmark = [pytest.mark.live, pytest.mark.slow]


def changed(output: str) -> int:
    """Number of changed tasks of a play's recap."""
    found = re.search(r"changed=(\d+)", output)
    assert found, output
    return int(found.group(1))


def test_a_second_create_changes_nothing_and_the_disk_is_bounded(lab: Lab) -> None:
    assert changed(lab.create()) > 0
    assert changed(lab.create()) == 0
    assert "systemd" in lab.ask("cat", "/proc/1/comm")
    size_mib = int(lab.ask("df", "--output=size", "-BM", "/srv/data").split()[-1].rstrip("M"))
    assert 32 < size_mib <= 64
    # Its own file system, not a folder of the host's.
    assert "ext4" in lab.ask("stat", "-f", "-c", "%T/ext4", "/srv/data")
    lab.destroy()
    assert changed(lab.destroy()) == 0


def test_check_mode_makes_nothing(lab: Lab) -> None:
    lab.create("--check")
    assert not (lab.state / "halab").exists() or not list((lab.state / "halab").glob("*/lab.json"))


def test_power_off_keeps_disk_address_and_host_key(lab: Lab) -> None:
    lab.create()
    lab.ask("cp", "/etc/hostname", "/srv/data/kept")
    lab.power("off")
    assert lab.power("state") == "off"
    assert changed(lab.create()) > 0, "create switches a machine on again"
    assert lab.power("state") == "on"
    assert "machine1" in lab.ask("cat", "/srv/data/kept")


def test_two_labs_at_once_do_not_collide(lab: Lab, other_lab: Lab) -> None:
    first, second = (one.start("create", *BARE) for one in (lab, other_lab))
    outputs = [process.communicate(timeout=300)[0] for process in (first, second)]
    assert [first.returncode, second.returncode] == [0, 0], "\n".join(outputs)
    assert lab.id != other_lab.id
    other_lab.destroy()
    assert "machine1" in lab.ask("hostname")


@pytest.mark.parametrize("after_s", [0.8, 1.6, 2.4])
def test_a_create_that_was_killed_is_finished_by_the_next(lab: Lab, after_s: float) -> None:
    process = lab.start("create", *BARE)
    time.sleep(after_s)  # the moment of the kill is the input of this test, not a wait
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    lab.create()
    assert changed(lab.create()) == 0
    assert "machine1" in lab.ask("hostname")


def test_create_revives_machines_in_any_state(lab: Lab) -> None:
    lab.create()
    lab.power("freeze")
    assert changed(lab.create()) > 0, "create thaws a frozen machine"
    assert lab.power("state") == "on"
    lab.ask("cp", "/etc/hostname", "/srv/data/lost")
    lab.power("lose")
    assert changed(lab.create()) > 0, "create mounts the disks of a machine that lost its power"
    assert "machine1" in lab.ask("hostname")


def test_destroy_removes_a_frozen_machine_with_limits(lab: Lab) -> None:
    lab.create()
    limits = [f"/var/lib/halab/{lab.id}/power", "limit", "machine1"]
    subprocess.run([*limits, "cpu=20", "write_iops=9"], check=True, capture_output=True)
    lab.power("freeze")
    folder = Path("/var/lib/halab") / lab.id
    lab.destroy()
    assert not folder.exists()
    assert str(folder) not in Path("/proc/mounts").read_text()
