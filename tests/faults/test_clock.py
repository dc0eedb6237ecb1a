"""Wrong clocks on a machine, by what a service says of its own time; refusals; what a restart leaves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.faults.cases.clock import CLEANUP, PREPARE
from tests.faults.support.lab import ModuleFailed
from tests.faults.support.machines import Node

UNIT = "clocked.service"


@pytest.fixture
def clocked(node: Node) -> Iterator[Node]:
    """A machine with a service that tells its time."""
    node.run(PREPARE)
    try:
        yield node
    finally:
        node.run(CLEANUP)


def offsets(node: Node, number: int = 1, pause_s: float = 0.0) -> list[float]:
    """By how many seconds the service's clock is off, as it says itself."""
    return [float(word) for word in node.run(f"python3 /run/clocked/ask.py {number} {pause_s}").split()]


@pytest.mark.parametrize(("offset", "seconds"), [("-2h", -7200.0), ("+3600s", 3600.0), ("500ms", 0.5), ("-1d", -86400)])
def test_step(clocked: Node, offset: str, seconds: float) -> None:
    with clocked.fault("clock", unit=UNIT, offset=offset) as injected:
        assert offsets(clocked) == pytest.approx([seconds], abs=0.3)
        assert "the clock is off by" in injected["evidence"][0]
        assert abs(float(clocked.run("date +%s")) - float(clocked.run("date +%s"))) < 30, "the machine's own time"
    assert offsets(clocked) == pytest.approx([0], abs=0.3)


@pytest.mark.parametrize("rate", [1.05, 0.9])
def test_drift(clocked: Node, rate: float) -> None:
    with clocked.fault("clock", unit=UNIT, kind="drift", rate=rate):
        first, *_, last = offsets(clocked, 5, 0.5)
        assert last - first == pytest.approx((rate - 1) * 2, rel=0.3)
    assert offsets(clocked) == pytest.approx([0], abs=0.3)


def test_strobe(clocked: Node) -> None:
    with clocked.fault("clock", unit=UNIT, kind="strobe", offset="-60s", period=0.3):
        seen = offsets(clocked, 40, 0.05)
    off = [offset for offset in seen if abs(offset + 60) < 1]
    right = [offset for offset in seen if abs(offset) < 1]
    assert len(off) + len(right) == len(seen), "nothing in between"
    assert 0.2 < len(off) / len(seen) < 0.8
    assert offsets(clocked) == pytest.approx([0], abs=0.3)


def test_the_service_itself_is_asked(clocked: Node) -> None:
    """A service that answers with another time than it should have is not taken for a wrong clock."""
    told = ["python3", "-c", "import time; print(time.time() + 7200)"]
    with clocked.fault("clock", unit=UNIT, offset="2h", time_command=told) as injected:
        assert "the service says that it is off by +7200" in injected["evidence"][0]
    with pytest.raises(ModuleFailed, match=r"not observed.*says that it is off by \+7200.*It was undone"):
        clocked.module("clock", id="other", ttl=20, unit=UNIT, offset="-2h", time_command=told)
    assert offsets(clocked) == pytest.approx([0], abs=0.3)


def test_a_service_that_is_not_ready_is_undone(clocked: Node) -> None:
    with pytest.raises(ModuleFailed, match=r"was not ready within 1 s.*It was undone"):
        clocked.module("clock", id="c", ttl=20, unit=UNIT, offset="-2h", ready_command=["false"], ready_within=1)
    assert offsets(clocked) == pytest.approx([0], abs=0.3)


def test_children_have_the_same_time(node: Node) -> None:
    """As PostgreSQL below Patroni: what the service starts inherits its clock."""
    node.run(
        "printf '[Service]\\nExecStart=/bin/sh -c \"while :; do date +%%%%s > /run/childtime; sleep 0.2; done\"\\n'"
        " > /run/systemd/system/parent.service; systemctl daemon-reload; systemctl start parent"
    )
    try:
        with node.fault("clock", unit="parent", offset="+1h"):
            node.await_holds("[ $(($(cat /run/childtime) - $(date +%s))) -gt 3500 ]", within_s=3)
        node.await_holds("[ $(($(cat /run/childtime) - $(date +%s))) -lt 5 ]", within_s=3)
    finally:
        node.run("systemctl stop parent; rm /run/childtime /run/systemd/system/parent.service; systemctl daemon-reload")


def test_a_unit_that_was_stopped_meanwhile_stays_so(clocked: Node) -> None:
    with clocked.fault("clock", unit=UNIT, offset="-2h"):
        clocked.run(f"systemctl stop {UNIT}")
    assert not clocked.holds(f"systemctl is-active {UNIT}")
    assert not clocked.holds(f"ls /run/systemd/system/{UNIT}.d")
    clocked.run(f"systemctl start {UNIT}")
    assert offsets(clocked) == pytest.approx([0], abs=0.3)


def test_an_injector_that_is_killed_leaves_a_fault_that_heals(clocked: Node) -> None:
    with clocked.fault("clock", unit=UNIT, kind="strobe", offset="60s", period=0.2):
        clocked.run("pkill -KILL -f 'clock-shift /run/halab'")
    assert offsets(clocked, 10, 0.1) == pytest.approx([0] * 10, abs=0.3)


def test_go_programs_are_refused(node: Node) -> None:
    """etcd reads the clock without the C library, so a preloaded one would have no effect at all."""
    node.run("systemd-run --quiet --unit goclock etcd --data-dir /run/goclock")
    try:
        with pytest.raises(ModuleFailed, match=r"/usr/bin/etcd is written in Go.*scope=machine.*Nothing was changed"):
            node.module("clock", id="c", ttl=20, unit="goclock", offset="-2h")
    finally:
        node.run("systemctl stop goclock; systemctl reset-failed goclock 2>/dev/null; rm -rf /run/goclock")
    assert node.entries() == []


def test_programs_that_would_hang_are_refused(node: Node) -> None:
    """Redis would not come back from its restart: libfaketime and its jemalloc wait for each other."""
    node.run("systemd-run --quiet --unit jemalloc redis-server --port 6399 --save ''")
    try:
        with pytest.raises(ModuleFailed, match=r"redis.* allocates memory by jemalloc.*Nothing was changed"):
            node.module("clock", id="c", ttl=20, unit="jemalloc", offset="-2h")
        assert node.holds("systemctl is-active jemalloc")
    finally:
        node.run("systemctl stop jemalloc; systemctl reset-failed jemalloc 2>/dev/null || true")


def test_services_shut_into_a_folder_are_refused(node: Node) -> None:
    node.run("systemd-run --quiet --unit shut python3 -c 'import os, time; os.chroot(\"/var/lib\"); time.sleep(600)'")
    node.await_holds(
        "readlink /proc/$(systemctl show --value --property MainPID shut)/root | grep -x /var/lib", within_s=5
    )
    try:
        with pytest.raises(ModuleFailed, match=r"is shut into /var/lib.*Nothing was changed"):
            node.module("clock", id="c", ttl=20, unit="shut", offset="-2h")
    finally:
        node.run("systemctl stop shut")


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"scope": "machine", "offset": "1h"}, "CAP_SYS_TIME.*scope=unit"),
        ({"unit": "no-such-unit", "offset": "1h"}, "no-such-unit.*does not know it"),
        ({"unit": "ssh", "offset": "1h"}, "is how this machine was reached|is inactive"),
        ({"unit": UNIT, "offset": "1h", "ttl": -1}, "ttl = -1"),
        ({"unit": UNIT, "offset": "soon"}, "offset = 'soon'"),
        ({"unit": UNIT, "kind": "drift", "rate": 0}, "rate = 0"),
        ({"unit": UNIT, "kind": "strobe", "offset": "1s", "period": 60}, "period = 60"),
    ],
)
@pytest.mark.thorough
def test_refused_by_name(node: Node, parameters: dict[str, object], named: str) -> None:
    with pytest.raises(ModuleFailed, match=named):
        node.module("clock", **{"id": "c", "ttl": 20, **parameters})
    assert node.entries() == []
