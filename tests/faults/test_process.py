"""Processes on a machine: what is signalled, what is not, and what comes back, as `ps` and systemd see it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.faults.support.lab import ModuleFailed
from tests.faults.support.machines import Node
from tests.faults.support.units import made, removed

UNIT = "process-test"


@contextlib.contextmanager
def service(node: Node, command: str, *, name: str = UNIT, **settings: str) -> Iterator[str]:
    """A service of the test's own; gives its name."""
    node.run(made(name, command, **settings))
    try:
        yield name
    finally:
        node.run(removed(name))


def main_pid(node: Node, unit: str = UNIT) -> str:
    return node.run(f"systemctl show -P MainPID {unit}")


def states(node: Node, unit: str = UNIT) -> list[str]:
    """One letter for each process of the unit's control group."""
    group = node.run(f"systemctl show -P ControlGroup {unit}")
    pids = node.run(f"cat /sys/fs/cgroup{{,/systemd,/unified}}{group}/cgroup.procs 2>/dev/null | sort -u", check=False)
    return [node.run(f"ps -o stat= -p {pid}", check=False)[:1] for pid in pids.split()]


def pids(node: Node, pattern: str) -> set[str]:
    return set(node.run(f"pgrep -f '{pattern}'", check=False).split())


def refused(node: Node, **parameters: Any) -> str:
    """What the module says against it; nothing may be in the ledger then."""
    with pytest.raises(ModuleFailed) as failed:
        node.module("process", **{"id": "refused", "ttl": 20, **parameters})
    assert node.entries() == []
    return failed.value.msg


def test_stop_catches_a_unit_that_keeps_forking(node: Node) -> None:
    """Four shells start a process each hundredth of a second; once stopped nothing new appears, and all go on later."""
    spin = "/bin/bash -c 'for i in 1 2 3; do (while :; do sleep 0.01; done) & done; while :; do sleep 0.01; done'"
    with service(node, spin):
        with node.fault("process", kind="stop", unit=UNIT, which="all"):
            seen = states(node)
            assert len(seen) >= 4
            assert set(seen) == {"T"}
            before = node.run(f"systemctl show -P TasksCurrent {UNIT}")
            time.sleep(0.5)
            assert node.run(f"systemctl show -P TasksCurrent {UNIT}") == before
        assert "T" not in states(node)


def test_what_was_stopped_before_stays_stopped(node: Node) -> None:
    """A process that somebody else stopped is neither counted as ours nor continued by the heal."""
    with service(node, "/bin/bash -c 'sleep 6601 & sleep 6602'"):
        (other,) = pids(node, "^sleep 6601$")
        node.run(f"kill -STOP {other}")
        with node.fault("process", kind="stop", unit=UNIT, which="all") as result:
            assert f" {other} (" not in " ".join(result["evidence"])
        assert sorted(states(node)).count("T") == 1
        assert node.run(f"ps -o stat= -p {other}").startswith("T")
        says = refused(node, kind="stop", match="sleep 6601$")
        assert "stopped already" in says and "Nothing was changed" in says


def test_overlapping_stops_heal_in_either_order(node: Node) -> None:
    """One process stopped by a fault stays so while another fault on its unit comes and goes."""
    with service(node, "/bin/bash -c 'sleep 6603 & sleep 6604'"):
        with node.fault("process", kind="stop", match="sleep 6603$"):
            with node.fault("process", kind="stop", unit=UNIT, which="all"):
                assert set(states(node)) == {"T"}
            assert sorted(states(node)).count("T") == 1
        assert "T" not in states(node)


def test_a_unit_that_restarts_by_itself_is_not_restarted_again(node: Node) -> None:
    """The heal of a kill finds the unit running and leaves the new process alone."""
    with service(node, "/bin/sleep 6605", Restart="always", RestartSec="100ms"):
        first = main_pid(node)
        with node.fault("process", kind="kill", unit=UNIT):
            node.await_holds(f"systemctl is-active -q {UNIT} && ! kill -0 {first} 2>/dev/null", within_s=5)
            second = main_pid(node)
        assert main_pid(node) == second != first


def test_a_killed_unit_is_started_by_the_heal(node: Node) -> None:
    with service(node, "/bin/sleep 6606"):
        first = main_pid(node)
        with node.fault("process", kind="kill", unit=UNIT, which="all"):
            assert not node.holds(f"systemctl is-active -q {UNIT}")
            assert pids(node, "^/bin/sleep 6606$") == set()
        assert node.holds(f"systemctl is-active -q {UNIT}")
        assert main_pid(node) not in ("0", first)


def test_children_are_killed_and_the_main_process_is_not(node: Node) -> None:
    with service(node, "/bin/bash -c 'while :; do sleep 6607 & sleep 6608 & wait; done'"):
        main, children = main_pid(node), pids(node, "^sleep 660[78]$")
        with node.fault("process", kind="kill", unit=UNIT, which="children"):
            assert main_pid(node) == main
            assert not pids(node, "^sleep 660[78]$") & children
        assert len(pids(node, "^sleep 660[78]$")) == 2


def test_the_largest_is_chosen_by_resident_memory(node: Node) -> None:
    """Three processes of one name that hold 1, 30 and 5 MiB: the second is killed, as by the OOM killer."""
    hold = 'python3 -c "import time; hold = bytearray(%s << 20); time.sleep(6609)" &'
    script = " ".join(hold % size for size in (1, 30, 5)).replace('"', '\\"')
    with service(node, f'/bin/bash -c "{script} wait"'):
        node.await_holds("[ $(ps -o rss= -C python3 | awk '$1 > 30000' | wc -l) = 1 ]", within_s=10)
        largest = node.run("ps -o rss=,pid= -C python3 --sort=-rss | head -1 | awk '{print $2}'")
        before = pids(node, "time.sleep.6609")
        planned = node.module(
            "process", check=True, id="oom", ttl=20, kind="kill", match="time[.]sleep.6609", largest=True
        )
        assert planned["changed"] and pids(node, "time.sleep.6609") == before
        with node.fault("process", kind="kill", name="python3", match="time[.]sleep.6609", largest=True) as result:
            assert before - pids(node, "time.sleep.6609") == {largest}
            assert f"({largest}," not in result["evidence"] and largest in result["evidence"][0]


def test_a_crash_loop_of_three_ends_by_itself(node: Node) -> None:
    """Systemd counts three restarts, not one more, and the unit stays up although the fault is still in the ledger."""
    settings = {"Restart": "always", "RestartSec": "100ms", "StartLimitIntervalSec": "0"}
    with (
        service(node, "/bin/sleep 6610", **settings),
        node.fault("process", kind="crash_loop", unit=UNIT, times=3),
    ):
        node.await_holds(f"[ $(systemctl show -P NRestarts {UNIT}) = 3 ]", within_s=10)
        stays = main_pid(node)
        time.sleep(1)
        assert main_pid(node) == stays != "0"


def test_a_unit_that_failed_too_often_is_started_again(node: Node) -> None:
    """The loop drives systemd to give the unit up; the heal resets that."""
    settings = {"Restart": "always", "RestartSec": "50ms", "StartLimitIntervalSec": "60", "StartLimitBurst": "3"}
    with service(node, "/bin/sleep 6611", **settings):
        with node.fault("process", kind="crash_loop", unit=UNIT):
            node.await_holds(f"systemctl is-failed -q {UNIT}", within_s=10)
        assert node.holds(f"systemctl is-active -q {UNIT}")


def test_who_ignores_sigterm_is_not_observed(node: Node) -> None:
    """The fault fails, but a signal cannot be taken back, so it stays in the ledger until the process ends."""
    with service(node, "/bin/bash -c 'trap \"\" TERM; sleep 3; exec sleep 6612'", TimeoutStopSec="1"):
        main = main_pid(node)
        with pytest.raises(ModuleFailed, match=r"not observed within 1 s.*left: "):
            node.module("process", id="stubborn", ttl=20, kind="terminate", unit=UNIT, observed_within=1, gone_within=1)
        assert main_pid(node) == main
        assert [entry["id"] for entry in node.entries()] == ["stubborn"]
        node.run(f"kill -KILL {main}")
        node.module("process", id="stubborn", state="healed")


def test_the_machine_stays_reachable(node: Node) -> None:
    """SSH, systemd, the caller and the guardians are refused by every way to select them."""
    assert "serves SSH" in refused(node, kind="stop", name="sshd")
    assert "cannot be reached" in refused(node, kind="kill", unit="ssh", which="all")
    assert "cannot be reached" in refused(node, kind="crash_loop", unit="ssh")
    assert "it is PID 1" in refused(node, kind="stop", name="systemd")
    with service(node, "/bin/sleep 6613"), node.fault("process", kind="stop", unit=UNIT) as acting:
        guard = f"agent-.* guard .* {acting['id']}"
        with pytest.raises(ModuleFailed, match="an agent of the faults themselves"):
            node.module("process", id="refused", ttl=20, kind="kill", match=guard)


def test_all_that_is_named_but_the_protected(node: Node) -> None:
    """A pattern that matches everything of Python stops a victim, and neither the module nor Ansible's connection."""
    with (
        service(node, "/usr/bin/python3 -c 'import time; time.sleep(6614)'"),
        node.fault("process", kind="stop", match="python3"),
    ):
        assert states(node) == ["T"]
        assert node.run("echo reachable") == "reachable"


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"kind": "kill", "unit": "nonesuch"}, "unit = 'nonesuch'.*does not know it"),
        ({"kind": "kill", "unit": "--help"}, "unit = '--help': is not the name of a unit"),
        ({"kind": "kill", "unit": "fstrim.service"}, "is inactive.*Start it first"),
        ({"kind": "stop", "name": "jurnald"}, "name jurnald: no such process runs here"),
        ({"kind": "stop", "name": "systemd-journal-d"}, "Similar ones are .*systemd-journal"),
        ({"kind": "stop", "match": "dbus-daemon --nothing-like-it"}, "Similar ones are .*dbus-daemon"),
        ({"kind": "stop", "target": "postmaster"}, "postmaster: no such process runs here"),
        ({"kind": "stop", "match": "("}, "match = '\\(': is not a regular expression"),
        ({"kind": "kill", "unit": "dbus"}, "without it the machine cannot be reached or healed"),
        ({"kind": "crash_loop", "target": "etcd"}, "a crash loop is for the main process of a unit"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
@pytest.mark.thorough
def test_refused(node: Node, parameters: dict[str, Any], says: str) -> None:
    with pytest.raises(ModuleFailed, match=says) as failed:
        node.module("process", id="refused", ttl=20, **parameters)
    assert "Nothing was changed" in failed.value.msg
    assert node.entries() == []
