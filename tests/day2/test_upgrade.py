"""Minor versions, rolled through one machine after the other, as far as Debian has two of them."""

from __future__ import annotations

import itertools
import re

import pytest
from tests.day2.pulse import beating
from tests.day2.site import THREE, Site

from halab.clients.cluster import leader_connection

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.destructive, pytest.mark.timeout(3000)]

SWITCHOVER_S = 15.0
"""Longest time without a write through a balancer: one planned switchover, and the checks of the balancers."""
RESTART_S = 10.0
PACKAGES = ("postgresql-17", "haproxy", "redis-server", "redis-sentinel", "redis-tools")
POLICY = "printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d"
UNITS = "etcd patroni haproxy keepalived redis-server redis-sentinel"
STARTED = f"for u in {UNITS}; do echo $u $(systemctl show --timestamp=unix -P ExecMainStartTimestamp $u); done"


def older(site: Site) -> dict[str, str]:
    """Versions of the packages that the machines' sources have besides the newest."""
    site.shell("node1:node2:node3", "apt-get update --quiet=2")
    found = {}
    for package in PACKAGES:
        table = site.shell("node1", f"apt-cache madison {package}")["node1"]
        versions = list(dict.fromkeys(re.findall(r"^\s*\S+ \| (\S+) \|", table, re.MULTILINE)))
        if len(versions) > 1:
            found[package] = versions[1]
    return found


def started(site: Site) -> dict[str, dict[str, int]]:
    """Second in which each unit was started, by unit and machine."""
    found: dict[str, dict[str, int]] = {}
    for host, text in site.shell("node1:node2:node3", STARTED).items():
        for unit, second in (line.split() for line in text.splitlines()):
            found.setdefault(unit, {})[host] = int(second.removeprefix("@"))
    return found


def leader(site: Site) -> tuple[str, str]:
    """Name of PostgreSQL's leader and its version."""
    member, connection = leader_connection(site.cluster(), application="halab/day2")
    [(version,)] = connection.run("SHOW server_version", within_s=5)
    connection.close()
    return member.name, str(version)


def test_newer_packages_are_rolled_out_leader_last(site: Site, record_property: pytest.RecordProperty) -> None:
    versions = older(site)
    if "postgresql-17" not in versions:
        pytest.skip("needs two versions of postgresql-17 in the machines' package sources, and there is only one")
    wanted = " ".join(f"{package}={version}" for package, version in versions.items())
    # As the machines would be had they been made before the newer version came out.
    site.shell(
        "node1:node2:node3",
        f"{POLICY}; DEBIAN_FRONTEND=noninteractive apt-get install --quiet=2 --yes --allow-downgrades {wanted}; "
        f"rm /usr/sbin/policy-rc.d; apt-mark hold {' '.join(versions)}",
    )
    held = site.play("upgrade")
    assert f"apt-mark holds {', '.join(sorted(versions))}" in " ".join(held.output.split()), held.output
    assert not any("Newer packages" in task for task, _ in held.changed), "what is held was upgraded"
    first, version = leader(site)
    assert f"Debian {versions['postgresql-17']}" in version
    site.shell("node1:node2:node3", f"apt-mark unhold {' '.join(versions)}")

    before = started(site)
    with beating(site.cluster()) as pulses:
        site.play("upgrade")
    record_property("told", pulses.told())
    record_property("from", wanted)
    after, (last, newer) = started(site), leader(site)
    record_property("to", newer)
    assert versions["postgresql-17"] not in newer
    order = sorted(after["patroni"], key=after["patroni"].__getitem__)
    assert order[-1] == first, "the leader was not the last"
    assert last != first, "the leader was restarted without a switchover"
    seconds = sorted(after["patroni"].values())
    assert all(later > earlier for earlier, later in itertools.pairwise(seconds)), "not one at a time"
    assert after["etcd"] == before["etcd"], "etcd had no newer version and was restarted"
    assert pulses["postgresql, new connections"].outage_s < SWITCHOVER_S, pulses.told()
    assert pulses["redis, new connections"].outage_s < RESTART_S, pulses.told()
    again = site.play("upgrade")
    assert not any(count for host, count in again.counts.items() if host in THREE), again.changed


def test_an_upgrade_that_was_killed_is_completed_by_the_next(site: Site) -> None:
    # Unpacking the installed version again is what an upgrade does to a machine before its services are restarted.
    reinstall = "apt-get update --quiet=2 && apt-get install --quiet=2 --yes --reinstall etcd-server"
    site.shell("node2", f"{POLICY}; {reinstall}; done=$?; rm /usr/sbin/policy-rc.d; exit $done")
    before = started(site)["etcd"]
    site.play("upgrade", "--tags", "etcd,verify,always")
    after = started(site)["etcd"]
    assert {host for host in THREE if after[host] != before[host]} == {"node2"}
