"""Units on a machine: stopped, masked and slow, as systemd and the clock see it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import pytest
from tests.faults.support.lab import ModuleFailed
from tests.faults.support.machines import Node
from tests.faults.support.units import ADMINISTRATOR, DISTRIBUTION, made, removed

UNIT = "service-test"


@contextlib.contextmanager
def service(node: Node, command: str = "/bin/sleep 6701", *, folder: str = ADMINISTRATOR, name: str = UNIT,
            **settings: str) -> Iterator[str]:  # fmt: skip
    node.run(made(name, command, folder=folder, **settings))
    try:
        yield name
    finally:
        node.run(removed(name, folder=folder))


def active(node: Node, *units: str) -> list[str]:
    return node.run(f"systemctl is-active {' '.join(units)}", check=False).split()


def start_s(node: Node, unit: str = UNIT) -> float:
    began = time.monotonic()
    node.run(f"systemctl start {unit}")
    return time.monotonic() - began


def test_units_that_stop_with_it_are_started_with_it(node: Node) -> None:
    """A unit that requires the stopped one goes with it; the heal brings back both, but not what did not run."""
    with (
        service(node),
        service(node, "/bin/sleep 6702", name="service-follower", Requires=f"{UNIT}.service", After=f"{UNIT}.service"),
        service(node, "/bin/sleep 6703", name="service-idle", Requires=f"{UNIT}.service"),
    ):
        node.run("systemctl stop service-idle")
        with node.fault("service", kind="stop", unit=UNIT):
            assert active(node, UNIT, "service-follower") == ["inactive", "inactive"]
        assert active(node, UNIT, "service-follower", "service-idle") == ["active", "active", "inactive"]


def test_a_unit_that_ssh_would_stop_with_is_refused(node: Node) -> None:
    drop_in = "/etc/systemd/system/ssh.service.d"
    with service(node):
        node.run(
            f"mkdir {drop_in} && printf '[Unit]\\nRequires={UNIT}.service\\n' > {drop_in}/test.conf "
            "&& systemctl daemon-reload"
        )
        try:
            with pytest.raises(ModuleFailed, match=r"ssh\.service stops with it, and without it the machine cannot"):
                node.module("service", id="refused", ttl=20, kind="stop", unit=UNIT)
            assert active(node, UNIT, "ssh") == ["active", "active"]
        finally:
            node.run(f"rm -r {drop_in} && systemctl daemon-reload")


def test_masked_means_nobody_can_start_it(node: Node) -> None:
    """Also what restarts it by itself cannot; afterwards the link is gone and the unit as before."""
    with service(node, folder=DISTRIBUTION, Restart="always", RestartSec="100ms"):
        with node.fault("service", kind="mask", unit=UNIT):
            assert "masked" in node.run(f"systemctl start {UNIT} 2>&1", check=False)
            assert node.run(f"readlink /run/systemd/system/{UNIT}.service") == "/dev/null"
            assert active(node, UNIT) == ["inactive"]
        assert active(node, UNIT) == ["active"]
        assert node.run(f"systemctl is-enabled {UNIT}", check=False) == "static"


def test_the_next_start_takes_longer_by_what_was_asked(node: Node) -> None:
    with service(node, "/bin/sleep 6704"):
        node.run(f"systemctl stop {UNIT}")
        usual = start_s(node)
        with node.fault("service", kind="slow_start", unit=UNIT, seconds=2):
            assert active(node, UNIT) == ["active"], "without restart the running unit is left alone"
            node.run(f"systemctl stop {UNIT}")
            slow = start_s(node)
        assert 1.9 < slow - usual < 3.5
        node.run(f"systemctl stop {UNIT}")
        assert start_s(node) < usual + 1


def test_the_heal_ends_a_delay_that_is_under_way(node: Node) -> None:
    """A start held up for a minute goes on at once, with the unit's own command, and nothing of the delay is left."""
    with service(node, "/bin/sleep 6705"):
        with node.fault("service", kind="slow_start", unit=UNIT, seconds=60, restart=True):
            assert active(node, UNIT) == ["activating"]
            assert node.holds("pgrep -fx '/usr/bin/sleep 60'")
            began = time.monotonic()
        assert time.monotonic() - began < 15
        assert active(node, UNIT) == ["active"]
        assert not node.holds("pgrep -fx '/usr/bin/sleep 60'")
        assert node.holds("pgrep -fx '/bin/sleep 6705'")


def test_a_drop_in_of_somebody_else_stays(node: Node) -> None:
    folder = f"/run/systemd/system/{UNIT}.service.d"
    with service(node):
        node.run(f"mkdir {folder} && printf '[Service]\\nNice=5\\n' > {folder}/own.conf && systemctl daemon-reload")
        with node.fault("service", kind="slow_start", unit=UNIT, seconds=1):
            assert len(node.run(f"ls {folder}").split()) == 2
        assert node.run(f"ls {folder}") == "own.conf"
        assert node.run(f"systemctl show -P Nice {UNIT}") == "5"
        node.run(f"rm -r {folder} && systemctl daemon-reload")


def test_two_kinds_on_one_unit_are_refused(node: Node) -> None:
    """A process fault that takes the unit's main process and a service fault on the unit would undo one another."""
    with service(node), node.fault("service", kind="stop", unit=UNIT) as acting:
        with pytest.raises(ModuleFailed, match="is inactive"):
            node.module("process", id="second", ttl=20, kind="kill", unit=UNIT)
        node.run(f"systemctl start {UNIT}")
        with pytest.raises(ModuleFailed, match=f"fault {acting['id']}.*is acting on it"):
            node.module("process", id="second", ttl=20, kind="kill", unit=UNIT)
        node.run(f"systemctl stop {UNIT}")


def test_a_transient_unit_is_refused(node: Node) -> None:
    node.run("systemd-run --quiet --unit=service-passing sleep 6706")
    try:
        with pytest.raises(ModuleFailed, match=r"is transient.*nobody could start it again"):
            node.module("service", id="refused", ttl=20, kind="stop", unit="service-passing")
    finally:
        node.run("systemctl stop service-passing")


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"kind": "stop", "unit": "nonesuch"}, "unit = 'nonesuch'.*does not know it"),
        ({"kind": "stop", "unit": "../x"}, "is not the name of a unit"),
        ({"kind": "stop", "unit": "fstrim.service"}, "is inactive.*Start it first"),
        ({"kind": "stop", "unit": "ssh"}, "without it the machine cannot be reached or healed"),
        ({"kind": "stop", "unit": "multi-user.target"}, "is no service, socket or timer"),
        ({"kind": "mask", "unit": UNIT}, "takes the place of a mask"),
        ({"kind": "slow_start", "unit": UNIT, "seconds": 90}, "must start within 90 s"),
        ({"kind": "slow_start", "unit": UNIT, "seconds": 0}, "seconds = 0"),
        ({"kind": "slow_start", "unit": UNIT}, "seconds"),
        ({"kind": "stop", "unit": UNIT, "seconds": 5}, "belongs to kind: slow_start"),
        ({"kind": "stop", "unit": UNIT, "restart": True}, "belongs to kind: slow_start"),
        ({"kind": "stop", "unit": UNIT, "gone_within": 0}, "gone_within = 0"),
        ({"kind": "stop", "unit": UNIT, "ttl": -1}, "ttl = -1"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(map(str, value.values())),
)
@pytest.mark.thorough
def test_refused(node: Node, parameters: dict[str, Any], says: str) -> None:
    with service(node):
        with pytest.raises(ModuleFailed, match=says):
            node.module("service", **{"id": "refused", "ttl": 20, **parameters})
        assert node.entries() == []
        assert active(node, UNIT) == ["active"]
