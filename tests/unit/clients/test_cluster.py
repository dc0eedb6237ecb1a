"""The superuser's way in: the leader, or a refusal that names the key to mend."""

from __future__ import annotations

from dataclasses import replace

import pytest

from halab.clients.cluster import NoLeader, leader_connection, require_access
from halab.errors import InputError
from halab.inventory import Cluster, Tls, load


@pytest.fixture
def cluster(postgres, tmp_path) -> Cluster:
    return load(postgres.inventory(tmp_path))


def test_the_leader_is_found_and_accepts_writes(cluster):
    member, connection = leader_connection(cluster, application="halab/test")
    assert member in cluster.patroni.members
    assert connection.run("SELECT pg_is_in_recovery()", within_s=2) == [(False,)]
    connection.close()
    require_access(cluster)


def test_a_wrong_password_names_the_key_and_the_fix_and_never_the_password(cluster):
    wrong = replace(cluster, patroni=replace(cluster.patroni, superuser_password="guessed"))
    with pytest.raises(InputError, match=r"patroni_superuser_password: is not the password.*secrets\.yml") as refused:
        require_access(wrong)
    assert "guessed" not in str(refused.value)


def test_no_server_at_all_names_the_port_and_what_was_said(cluster):
    members = tuple(replace(member, postgresql_port=1) for member in cluster.patroni.members)
    elsewhere = replace(cluster, patroni=replace(cluster.patroni, members=members))
    with pytest.raises(NoLeader, match="connect-refused"):
        leader_connection(elsewhere, application="halab/test")
    with pytest.raises(InputError, match=r"patroni_postgresql_port = '1': is not where these servers.*connect-refused"):
        require_access(elsewhere)


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_another_way_of_encryption_is_used_or_named(cluster, sslmode):
    other = replace(cluster, patroni=replace(cluster.patroni, sslmode=sslmode))
    if sslmode == "require":
        require_access(replace(other, tls=Tls(None)))  # encrypted, and not checked
    else:
        with pytest.raises(InputError, match=r"patroni_postgresql_sslmode = 'disable': .*no encryption"):
            require_access(other)
