"""Faults of power on real machines: what a restart keeps, what it loses, and what stands still."""

from __future__ import annotations

import itertools
import socket
import subprocess
import time
from collections.abc import Callable
from typing import Any

import pytest
from tests.faults.support.lab import ModuleFailed
from tests.faults.support.machines import Node, Nodes

pytestmark = [pytest.mark.live, pytest.mark.slow]

Power = Callable[..., dict[str, Any]]
WRITE = """\
import os
synced = open("/srv/data/synced", "wb")
synced.write(b"x" * 100_000); synced.flush(); os.fsync(synced.fileno())
synced.write(b"y" * 50_000); synced.flush()
open("/srv/data/never-synced", "wb").write(b"z" * 1000)
"""
COMPUTE = "python3 -c 'import time; t=time.process_time(); w=time.monotonic()\nwhile time.monotonic()-w<1: pass\n"
SHARE = COMPUTE + "print(round(100*(time.process_time()-t)))'"
SYNCS = """\
import os, time
handle = os.open("/srv/data/timed", os.O_CREAT | os.O_WRONLY)
began = time.monotonic()
for number in range(3):
    os.pwrite(handle, os.urandom(4096), 4096 * number)
    os.fdatasync(handle)
print((time.monotonic() - began) / 3)
os.unlink("/srv/data/timed")
"""


def hooks(nodes: Nodes, *verbs: str) -> dict[str, Any]:
    switch = str(nodes.controller.switch)
    commands = {f"{verb}_command": [switch, verb, "m1"] for verb in (*verbs, "state")}
    return {"host": "m1", "address": nodes["m1"].address, **commands}


def settled(node: Node) -> None:
    """A restart is a new beginning of the machine's own processes."""
    node.await_up()
    node.before = node.snapshot()


def test_loss_keeps_what_was_synced_and_nothing_else(nodes: Nodes) -> None:
    node = nodes["m1"]
    node.run(f"python3 -c '{WRITE}'; echo kept > /var/tmp/kept")
    assert node.run("stat -c %s /srv/data/synced /srv/data/never-synced") == "150000\n1000"
    with nodes.controller.fault("power", kind="loss", **hooks(nodes, "lose", "on")) as result:
        assert result["target"] == "m1 (loss)"
        assert node.power("state") == "off"
    node.await_up()
    assert node.run("stat -c %s /srv/data/synced") == "100000"
    # A journal that commits every few seconds may have kept the name; what was in the file is gone.
    assert node.run("stat -c %s /srv/data/never-synced 2>/dev/null || true") in ("", "0")
    assert node.run("cat /var/tmp/kept") == "kept", "only the machine's own disks lose what was not synced"
    node.run("rm -f /srv/data/synced /srv/data/never-synced /var/tmp/kept")
    settled(node)


def test_off_keeps_what_was_written(nodes: Nodes) -> None:
    node = nodes["m1"]
    node.run(f"python3 -c '{WRITE}'")
    with nodes.controller.fault("power", **hooks(nodes, "off", "on")):
        assert node.power("state") == "off"
    node.await_up()
    assert node.run("stat -c %s /srv/data/synced /srv/data/never-synced") == "150000\n1000"
    node.run("rm /srv/data/synced /srv/data/never-synced")
    settled(node)


def test_reset_is_proven_by_the_connection_that_it_cuts(nodes: Nodes) -> None:
    node = nodes["m1"]
    before = node.run("stat -c %Y /proc/1; cat /proc/1/stat | cut -d' ' -f22")
    with nodes.controller.fault("power", kind="reset", **hooks(nodes, "reset", "on")) as result:
        assert "that was open before was" in result["evidence"][0]
    node.await_up()
    assert node.run("stat -c %Y /proc/1; cat /proc/1/stat | cut -d' ' -f22") != before
    settled(node)


def test_a_hook_that_does_not_reset_is_not_believed(nodes: Nodes) -> None:
    commands = {**hooks(nodes, "on"), "reset_command": ["true"], "observed_within": 2}
    with pytest.raises(ModuleFailed, match=r"not observed within 2 s: a connection .* is open"):
        nodes.controller.module("power", id="no-reset", ttl=30, kind="reset", **commands)
    assert nodes.controller.entries() == []


def test_frozen_machine_stands_still_and_keeps_its_connections(nodes: Nodes) -> None:
    node = nodes["m1"]
    ticker = "import time\nwhile True:\n print(time.monotonic(), flush=True)\n time.sleep(0.02)"
    node.run(f"systemd-run -q --collect --unit=ticker -p StandardOutput=file:/run/ticks python3 -c '{ticker}'")
    with socket.create_connection((node.address, 22), timeout=5) as connection:
        assert connection.recv(64).startswith(b"SSH-")
        with nodes.controller.fault("power", kind="freeze", **hooks(nodes, "freeze", "thaw")) as result:
            assert any("says frozen" in words for words in result["evidence"])
            time.sleep(2)  # the length of the standstill is what is measured below
        connection.sendall(b"SSH-2.0-halab\r\n")
        assert connection.recv(4096), "the connection outlived the standstill"
    stamps = [float(line) for line in node.run("systemctl stop ticker; cat /run/ticks; rm /run/ticks").split()]
    gap = max(later - earlier for earlier, later in itertools.pairwise(stamps))
    assert gap >= 2, f"longest gap between two ticks: {gap:.2f} s"


def test_switch_is_harmless_when_asked_twice(nodes: Nodes) -> None:
    node = nodes["m1"]
    for verbs in (["freeze", "freeze"], ["off", "off", "thaw"], ["on", "on"], ["lose", "off"], ["on", "thaw"]):
        for verb in verbs:
            node.power(verb)
    assert node.power("state") == "on"
    node.await_up()
    settled(node)


def test_switch_knows_its_machines(nodes: Nodes) -> None:
    for verb in ("off", "state", "limit"):
        done = subprocess.run([nodes.controller.switch, verb, "m9"], capture_output=True, text=True, check=False)
        assert done.returncode == 1
        assert "'m9': is no machine" in done.stderr and "m1, m2, m3" in done.stderr


def limits(nodes: Nodes, **wanted: Any) -> dict[str, Any]:
    return {"host": "m1", "command": [str(nodes.controller.switch), "limit", "m1"], **wanted}


def test_limit_of_the_processor_slows_a_computation(nodes: Nodes) -> None:
    """A busy host may leave little to begin with, so the limit is a quarter of what there is."""
    node = nodes["m1"]
    free = int(node.run(SHARE))
    quarter = max(1, free // 4)
    with nodes.controller.fault("limits", **limits(nodes, cpu=quarter)) as result:
        assert result["achieved"] == {"cpu": str(quarter)}
        slowed = int(node.run(SHARE))
    assert slowed < free, f"{free} % of a processor without the limit, {slowed} % with {quarter} %"
    assert int(node.run(SHARE)) > slowed


def test_limit_of_the_disk_slows_syncs(nodes: Nodes) -> None:
    node = nodes["m1"]
    free = float(node.run(f"python3 -c '{SYNCS}'"))
    with nodes.controller.fault("limits", **limits(nodes, write_iops=5)):
        slowed = float(node.run(f"python3 -c '{SYNCS}'"))
    assert slowed > 0.1 > free, f"{free * 1000:.1f} ms a sync without the limit, {slowed * 1000:.1f} ms with 5 a second"


def test_limit_of_memory_kills_what_wants_more(nodes: Nodes) -> None:
    node = nodes["m1"]
    eat = "python3 -c 'len(b\"x\" * 400_000_000)' && echo ate || echo killed"
    assert node.run(eat) == "ate"
    with nodes.controller.fault("limits", **limits(nodes, memory=300_000_000)):
        assert node.run(eat).splitlines()[-1] == "killed"
    assert node.run(eat) == "ate"


def test_limits_and_power_heal_in_either_order(nodes: Nodes) -> None:
    controller = nodes.controller
    nodes["m1"].remember()
    frozen = controller.fault("power", kind="freeze", **hooks(nodes, "freeze", "thaw"))
    with frozen, controller.fault("limits", **limits(nodes, cpu=50)):
        assert nodes["m1"].power("state") == "frozen"
    assert controller.module("limits", id="outer", ttl=60, **limits(nodes, cpu=50))["active"]
    with controller.fault("power", **hooks(nodes, "off", "on")):
        assert controller.module("limits", id="outer", state="healed", host="m1")["changed"]
    settled(nodes["m1"])


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ({"cpu": -1}, r"cpu = -1.*not a positive number"),
        ({"memory": 0}, r"memory = 0"),
        ({}, r"none is given"),
        ({"cpu": 10, "command": []}, r"command of m1: not given.*machine_limits"),
        ({"cpu": 10, "command": ["false"]}, r"`false get` failed with code 1"),
        ({"cpu": 10, "command": ["echo", "nonsense"]}, r"printed 'nonsense get'"),
        ({"cpu": 10, "ttl": -1}, r"ttl = -1"),
    ],
)
@pytest.mark.thorough
def test_bad_limits_are_named(nodes: Nodes, wanted: dict[str, Any], says: str) -> None:
    parameters = {"id": "bad", "ttl": 30, **limits(nodes), **wanted}
    with pytest.raises(ModuleFailed, match=says):
        nodes.controller.module("limits", **parameters)
    assert nodes.controller.entries() == []
