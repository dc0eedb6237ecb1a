"""What the collection's tests share: a place of their own in the cluster, and ways to its parts.

Nothing here changes the cluster outside that place. What the inventory does not have is skipped by its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count

import pytest
from tests.integration.support.access import redis_master, require_haproxy, require_redis
from tests.integration.support.space import WITHIN_S, Space

from halab.clients.postgres import Connection, Target
from halab.clients.redis_data import RedisData
from halab.errors import HalabError
from halab.inventory import Cluster, Haproxy, RedisGroup
from halab.workloads.redis_keys import remove_under
from halab.workloads.sweep import sweep_keys


@contextmanager
def in_its_own_words() -> Iterator[None]:
    """What halab says is what a person needs; where in the code it was said is not."""
    try:
        yield
    except HalabError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None


@pytest.fixture(scope="session")
def space(cluster: Cluster) -> Iterator[Space]:
    """Schema, role and key prefix of this run, removed at its end; what killed runs left is removed first."""
    made = Space(cluster)
    with in_its_own_words():
        made.__enter__()
    yield made
    made.__exit__(None, None, None)


@pytest.fixture
def connect(space: Space) -> Iterator[Callable[[Target], Connection]]:
    """Makes connections that are closed at the end of the test; `space.target()` is where they usually go."""
    made: list[Connection] = []

    def make(target: Target) -> Connection:
        made.append(Connection(target))
        return made[-1]

    yield make
    for connection in made:
        connection.close()


@pytest.fixture
def db(space: Space, connect: Callable[[Target], Connection]) -> Connection:
    """The run's own role on the server that accepts writes."""
    return connect(space.target())


_numbers = count(1)


@pytest.fixture
def table(space: Space, leader: Connection) -> Iterator[str]:
    """A name for a table of the test; what the test makes of it is dropped."""
    name = f"{space.schema}.t{next(_numbers)}"
    yield name
    leader.run(f"DROP TABLE IF EXISTS {name} CASCADE", within_s=WITHIN_S)


@pytest.fixture(autouse=True)
def _prepared(request: pytest.FixtureRequest, space: Space) -> None:
    """No test begins on a cluster whose inventory does not fit, and none of vectors without pgvector."""
    if request.node.get_closest_marker("pgvector") and not space.has_vectors:
        pytest.fail(
            "extension vector is not on the servers: install"
            f" postgresql-{space.cluster.patroni.postgresql_version}-pgvector there, or leave these tests out with"
            ' -m "not pgvector"',
            pytrace=False,
        )


@pytest.fixture(scope="session")
def haproxy(cluster: Cluster) -> Haproxy:
    """The balancers, whose statistics can be read."""
    if cluster.haproxy is None:
        pytest.skip("the inventory has no host in group haproxy")
    with in_its_own_words():
        require_haproxy(cluster, cluster.haproxy)
    return cluster.haproxy


@pytest.fixture(scope="session")
def redis_group(cluster: Cluster, space: Space) -> Iterator[RedisGroup]:
    """Redis, all of whose servers and Sentinels answer; the run's keys are removed at its end."""
    if cluster.redis is None:
        pytest.skip("the inventory has no host in group redis")
    with in_its_own_words():
        require_redis(cluster, cluster.redis)
        connection = RedisData(cluster.redis, cluster.tls, at=redis_master(cluster, cluster.redis))
        sweep_keys(cluster, connection)
        connection.close()
    yield cluster.redis
    remove_under(RedisData(cluster.redis, cluster.tls), space.prefix)


@pytest.fixture
def cache(cluster: Cluster, redis_group: RedisGroup) -> Iterator[RedisData]:
    """A connection to the Redis master, by Sentinels; keys begin with `space.prefix`."""
    connection = RedisData(redis_group, cluster.tls, at=redis_master(cluster, redis_group))
    yield connection
    connection.close()
