"""Endpoints of the cluster under test. Nothing here changes it."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest

from halab.clients.cluster import superuser_target
from halab.clients.http import client_context
from halab.clients.postgres import Connection, Target
from halab.inventory import Cluster, Haproxy, RedisGroup

WITHIN_S = 5.0


@pytest.fixture(scope="session")
def tls_context(cluster: Cluster) -> ssl.SSLContext:
    """Settings with the controller's client certificate."""
    return client_context(cluster.tls)


@pytest.fixture(scope="session")
def provisioned(cluster: Cluster) -> Cluster:
    """A cluster of halab's own roles; what only they promise is not tested on one that somebody else configured."""
    if not cluster.provision:
        pytest.skip("halab_provision is false: TLS, certificates and passwords are as somebody else wants them")
    return cluster


@pytest.fixture(scope="session")
def haproxy(cluster: Cluster) -> Haproxy:
    """The balancers; tests about them are skipped on a cluster without any."""
    if cluster.haproxy is None:
        pytest.skip("the inventory has no haproxy group")
    return cluster.haproxy


@pytest.fixture(scope="session")
def redis_group(cluster: Cluster) -> RedisGroup:
    """Redis; tests about it are skipped on a cluster without any."""
    if cluster.redis is None:
        pytest.skip("the inventory has no redis group")
    return cluster.redis


@pytest.fixture
def through(cluster: Cluster, haproxy: Haproxy) -> Callable[[int], Connection]:
    """A superuser's new connection through the balancers' entry point, to one of their ports."""

    def connect(port: int) -> Connection:
        own = superuser_target(cluster, cluster.patroni.members[0], application="halab/pytest")
        target = Target(
            address=haproxy.entry_points[0], port=port, user=own.user, password=own.password, ca_file=own.ca_file,
            sslmode=own.sslmode, application=own.application,
        )  # fmt: skip
        return Connection(target)

    return connect
