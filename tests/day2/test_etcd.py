"""etcd grows, loses a member with its data, and shrinks, under clients that notice nothing of it."""

from __future__ import annotations

import pytest
from tests.day2.pulse import beating
from tests.day2.site import MACHINES, THREE, Site

from halab.clients.etcd import EtcdEndpoint
from halab.clients.http import client_context

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.destructive, pytest.mark.timeout(1800)]

ELECTION_S = 5.0
"""Longest time without a write of a cluster that elects a leader: what one election takes, and some for a busy host."""
WIPE = "systemctl kill -s KILL etcd; systemctl stop etcd; rm -rf /srv/data/etcd /etc/etcd /etc/default/etcd"


def members(site: Site) -> dict[str, str]:
    """Ids by names, as a quorum knows them."""
    cluster = site.cluster()
    endpoint = EtcdEndpoint(cluster.etcd, cluster.etcd.members[0], client_context(cluster.tls))
    return {name: identity for identity, name in endpoint.members(linearizable=True, within_s=5).items()}


def leader(site: Site) -> str:
    """Name of the member that leads."""
    cluster = site.cluster()
    endpoint = EtcdEndpoint(cluster.etcd, cluster.etcd.members[0], client_context(cluster.tls))
    leads = endpoint.status(within_s=5).leader_id
    return next(name for name, identity in members(site).items() if identity == leads)


def test_it_grows_from_three_to_five_and_shrinks_to_three(site: Site, record_property: pytest.RecordProperty) -> None:
    before = members(site)
    with beating(site.cluster()) as pulses:
        site.describe(etcd=MACHINES)
        site.provision()
        grown = members(site)
        site.play("remove", "-e", f"leaving={','.join(MACHINES[3:])}", "--tags", "etcd")
        site.describe()
        site.provision()
    record_property("told", pulses.told())
    assert set(grown) == set(MACHINES)
    assert {name: grown[name] for name in THREE} == before, "those who were there were replaced"
    assert members(site) == before
    assert max(pulse.outage_s for pulse in pulses.pulses) < ELECTION_S, pulses.told()
    assert not any(site.provision().counts.values())


def test_members_that_are_not_declared_are_let_go(site: Site) -> None:
    """Also without remove.yml: their machines may be gone for good."""
    before = members(site)
    site.describe(etcd=MACHINES)
    site.provision("--tags", "certs,node,etcd")
    site.shell("node5", "systemctl kill -s KILL etcd; systemctl stop etcd; rm -rf /srv/data/etcd")
    site.describe()
    site.provision()
    assert members(site) == before
    site.shell("node4", "systemctl disable --now etcd; rm -rf /srv/data/etcd")


def test_the_leader_whose_data_is_lost_is_replaced_by_a_run_on_its_host_alone(
    site: Site, record_property: pytest.RecordProperty
) -> None:
    lost, before = leader(site), members(site)
    others = [name for name in THREE if name != lost]
    with beating(site.cluster()) as pulses:
        site.shell(lost, WIPE)
        promised = site.provision("--limit", lost, "--tags", "etcd", "--check")
        assert any("Join" in task for task, _ in promised.changed), promised.output
        assert members(site) == before, "check mode changed the cluster"
        done = site.provision("--limit", lost, "--tags", "etcd")
    record_property("told", pulses.told())
    assert {host for _, host in done.changed} == {lost}
    after = members(site)
    assert {name: after[name] for name in others} == {name: before[name] for name in others}
    assert after[lost] != before[lost], "it came back under its old id, with its old promises forgotten"
    assert pulses["postgresql"].outage_s < ELECTION_S, pulses.told()
    assert not any(site.provision().counts.values())


def test_an_empty_member_does_not_begin_a_cluster_beside_one_that_is_down(site: Site) -> None:
    lost, *others = THREE
    site.shell(lost, WIPE)
    site.shell(others[0], "systemctl stop etcd")
    refused = site.try_play("provision", "--limit", lost, "--tags", "etcd", "-e", "etcd_within_s=8")
    assert refused.code != 0
    assert "has no data, and the others, which it would have to join, do not serve" in refused.output
    # With all of them in the run, the one that is down is started first.
    site.provision()
    assert set(members(site)) == set(THREE)
