"""Patroni's synchronous modes change on a running cluster; replicas come and go."""

from __future__ import annotations

import pytest
from tests.day2.pulse import TABLE, beating
from tests.day2.site import THREE, Site

from halab.clients.cluster import leader_connection, superuser_target
from halab.clients.http import JsonEndpoint, client_context
from halab.clients.postgres import Connection
from halab.waiting import eventually

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.destructive, pytest.mark.timeout(1800)]

UNNOTICED_S = 5.0
"""Longest time between two writes when nothing is restarted and nobody else leads, on a busy host; none may fail."""
MODES = {"off": (False, False, 0), "on": (True, False, 1), "strict": (True, True, 1), "quorum": ("quorum", False, 2)}
"""For each mode synchronous_mode and synchronous_mode_strict of Patroni, and the standbys that count of two."""


def state(site: Site) -> tuple[dict[str, object], list[dict[str, object]]]:
    """Dynamic configuration and members, as the leader tells them."""
    cluster = site.cluster()
    member, connection = leader_connection(cluster, application="halab/day2")
    connection.close()
    rest = JsonEndpoint(member.host.address, member.rest_port, client_context(cluster.tls))
    _, config = rest.call("GET", "/config", within_s=5)
    _, seen = rest.call("GET", "/cluster", within_s=5)
    rest.close()
    return config, seen["members"]


def timelines(site: Site) -> set[object]:
    """Timelines of all members: one more for each failover."""
    return {member["timeline"] for member in state(site)[1]}


def test_synchronous_modes_follow_one_another(site: Site, record_property: pytest.RecordProperty) -> None:
    before = timelines(site)
    with beating(site.cluster()) as pulses:
        for mode in ("off", "strict", "on", "off", "quorum"):
            asked = ("-e", f"patroni_synchronous_mode={mode}", "--tags", "patroni")
            assert {host for _, host in site.provision(*asked).changed} <= set(THREE)
            config, members = state(site)
            wanted = MODES[mode]
            assert (config["synchronous_mode"], config["synchronous_mode_strict"]) == wanted[:2], mode
            # The role ends when the mode is in force, not when it was asked for.
            counted = [one["name"] for one in members if one["role"] in ("sync_standby", "quorum_standby")]
            assert len(counted) == wanted[2], (mode, members)
            assert not site.provision(*asked).changed, mode
    record_property("told", pulses.told())
    assert timelines(site) == before, "a change of mode cost a failover"
    assert not pulses["postgresql"].errors, pulses.told()
    assert pulses["postgresql"].outage_s < UNNOTICED_S, pulses.told()


def test_a_replica_comes_and_goes(site: Site, idle: tuple[str, ...], record_property: pytest.RecordProperty) -> None:
    before, new = timelines(site), idle[0]
    with beating(site.cluster()) as pulses:
        site.describe(patroni=(*THREE, new))
        site.provision()
        assert len(state(site)[1]) == 4
        cluster = site.cluster()
        member = next(one for one in cluster.patroni.members if one.name == new)
        direct = Connection(superuser_target(cluster, member, application="halab/day2"))
        [(rows,)] = direct.run(f"SELECT count(*) FROM {TABLE}", within_s=5)
        assert rows > 0
        direct.close()
        site.play("verify")
        assert not any(site.provision().counts.values())
        site.play("remove", "-e", f"leaving={new}", "--tags", "patroni")
        site.describe()
        site.provision()
    record_property("told", pulses.told())
    found = eventually(lambda: state(site)[1], within_s=60, what="three members", accept=lambda all_: len(all_) == 3)
    assert {one["name"] for one in found} == set(THREE)
    assert timelines(site) == before
    assert not pulses["postgresql"].errors, pulses.told()
    assert pulses["postgresql"].outage_s < UNNOTICED_S, pulses.told()
    assert f"{member.host.address}/32" not in site.shell("node1", "cat /etc/patroni/config.yml")["node1"]
    # What the package brought stays: an example, and what patronictl would know.
    left = site.shell(new, "systemctl is-active patroni || true; ls /etc/patroni")[new].split()
    assert left == ["inactive", "config.yml.in", "dcs.yml"]
