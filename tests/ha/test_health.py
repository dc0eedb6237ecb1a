"""The cluster is what its inventory says, and every door asks who is there (A6, B12, B16, B18)."""

from __future__ import annotations

import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest
from tests.ha.conftest import WITHIN_S

from halab.clients.etcd import EtcdEndpoint
from halab.clients.http import HttpError, JsonEndpoint
from halab.clients.outcome import OperationFailed
from halab.clients.patroni import PatroniEndpoint
from halab.clients.postgres import Connection, Target
from halab.clients.redis import SentinelEndpoint
from halab.inventory import Cluster, Haproxy, RedisGroup

pytestmark = pytest.mark.live


@pytest.mark.patroni
def test_every_member_answers_and_exactly_one_leads(cluster: Cluster, tls_context: ssl.SSLContext) -> None:
    roles = {
        member.name: PatroniEndpoint(member, tls_context).status(within_s=WITHIN_S).role
        for member in cluster.patroni.members
    }
    assert sorted(roles.values()) == ["primary", *["replica"] * (len(roles) - 1)], roles


@pytest.mark.patroni
def test_all_members_are_on_the_leaders_timeline(cluster: Cluster, tls_context: ssl.SSLContext) -> None:
    statuses = {
        member.name: PatroniEndpoint(member, tls_context).status(within_s=WITHIN_S)
        for member in cluster.patroni.members
    }
    assert len({status.timeline for status in statuses.values()}) == 1, statuses
    assert {status.state for status in statuses.values()} <= {"running", "streaming"}, statuses


@pytest.mark.patroni
def test_rest_refuses_a_client_without_a_certificate(provisioned: Cluster) -> None:
    anonymous = ssl.create_default_context(cafile=str(provisioned.tls.ca_file))
    member = provisioned.patroni.members[0]
    with pytest.raises(HttpError):
        JsonEndpoint(member.host.address, member.rest_port, anonymous).call("GET", "/patroni", within_s=WITHIN_S)


@pytest.mark.etcd
def test_etcd_members_agree_on_one_leader(cluster: Cluster, tls_context: ssl.SSLContext) -> None:
    statuses = [
        EtcdEndpoint(cluster.etcd, member, tls_context).status(within_s=WITHIN_S) for member in cluster.etcd.members
    ]
    assert len({(status.leader_id, status.term) for status in statuses}) == 1, statuses
    assert sum(status.is_leader for status in statuses) == 1, statuses
    assert not any(status.errors for status in statuses), statuses


@pytest.mark.etcd
def test_etcd_refuses_a_client_without_a_certificate_and_one_without_a_password(
    provisioned: Cluster, tls_context: ssl.SSLContext
) -> None:
    member = provisioned.etcd.members[0]
    anonymous = ssl.create_default_context(cafile=str(provisioned.tls.ca_file))
    body = {"key": "Lw==", "serializable": True}
    with pytest.raises(HttpError):
        JsonEndpoint(member.host.address, member.client_port, anonymous).call(
            "POST", "/v3/kv/range", body=body, within_s=WITHIN_S
        )
    status, answer = JsonEndpoint(member.host.address, member.client_port, tls_context).call(
        "POST", "/v3/kv/range", body=body, within_s=WITHIN_S
    )
    assert status in (400, 401, 403), answer


@pytest.mark.patroni
def test_postgresql_refuses_a_plain_connection(provisioned: Cluster) -> None:
    member = provisioned.patroni.members[0]
    plain = Target(
        address=member.host.address, port=member.postgresql_port, user=provisioned.patroni.superuser,
        password=provisioned.patroni.superuser_password, ca_file=None,
    )  # fmt: skip
    with pytest.raises(OperationFailed, match=r"no encryption|no pg_hba"):
        Connection(plain).run("SELECT 1", within_s=WITHIN_S)


@pytest.mark.patroni
def test_postgresql_refuses_a_wrong_password(cluster: Cluster) -> None:
    member = cluster.patroni.members[0]
    wrong = Target(
        address=member.host.address, port=member.postgresql_port, user=cluster.patroni.superuser,
        password="not the password", ca_file=cluster.tls.ca_file, sslmode=cluster.patroni.sslmode,
    )  # fmt: skip
    with pytest.raises(OperationFailed, match="authentication"):
        Connection(wrong).run("SELECT 1", within_s=WITHIN_S)


@pytest.mark.haproxy
def test_the_write_port_reaches_the_leader_and_the_read_port_a_replica(
    haproxy: Haproxy, through: Callable[[int], Connection]
) -> None:
    question = "SELECT pg_is_in_recovery()"
    assert through(haproxy.write_port).run(question, within_s=WITHIN_S) == [(False,)]
    assert through(haproxy.read_port).run(question, within_s=WITHIN_S) == [(True,)]


@pytest.mark.haproxy
@pytest.mark.usefixtures("provisioned")
def test_statistics_and_metrics_need_the_password(haproxy: Haproxy, tls_context: ssl.SSLContext) -> None:
    base = f"https://{haproxy.balancers[0].address}:{haproxy.stats_port}"
    for path in ("/", "/metrics"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(base + path, context=tls_context, timeout=WITHIN_S)
        assert refused.value.code == 401
    manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    manager.add_password(None, base, haproxy.stats_user, haproxy.stats_password)
    opener = urllib.request.build_opener(
        urllib.request.HTTPSHandler(context=tls_context), urllib.request.HTTPBasicAuthHandler(manager)
    )
    assert b"haproxy_" in opener.open(f"{base}/metrics", timeout=WITHIN_S).read()


@pytest.mark.redis
def test_sentinels_agree_on_one_master(cluster: Cluster, redis_group: RedisGroup) -> None:
    masters = {
        SentinelEndpoint(redis_group, member, cluster.tls, within_s=WITHIN_S).master() for member in redis_group.members
    }
    assert len(masters) == 1, masters


@pytest.mark.redis
@pytest.mark.usefixtures("provisioned")
def test_redis_speaks_only_tls(redis_group: RedisGroup) -> None:
    for member in redis_group.members:
        for port in (member.port, member.sentinel_port):
            with socket.create_connection((member.host.address, port), timeout=WITHIN_S) as connection:
                connection.sendall(b"PING\r\n")
                connection.settimeout(WITHIN_S)
                try:
                    answer = connection.recv(64)
                except ConnectionResetError:
                    answer = b""
            assert not answer.startswith((b"+PONG", b"-NOAUTH")), (member.name, port, answer)
