"""Fixtures of the tests about Citus: the groups, a way in for the run's own role, and tables over the workers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.integration.support.citus import WITHIN_S, Citus, entry, recovered_within_s
from tests.integration.support.citus_tables import (
    VERSION,
    Pair,
    Shop,
    distribute,
    forget_local,
    id_in,
    statements,
)
from tests.integration.support.embeddings import fill
from tests.integration.support.space import Space

from halab.clients.cluster import NoLeader
from halab.clients.postgres import Connection, Row, Target
from halab.driver import consent
from halab.driver.site import Site, open_site
from halab.errors import HalabError, InputError
from halab.inventory import Cluster
from halab.pytest_plugin import MEASURED
from halab.thresholds import Measured, Threshold
from halab.verdict import Bound, Comparison
from halab.waiting import WaitExpired, eventually

LOAD_WITHIN_S = 60.0
SETTLED_WITHIN_S = 90.0
LEADER_WITHIN_S = 30.0
WHOLE_WITHIN_S = 180.0


@pytest.fixture(scope="session")
def citus(cluster: Cluster) -> Citus:
    """The groups, one database at the moment; without Citus tests are skipped."""
    patroni = cluster.patroni
    if not patroni.groups:
        pytest.skip("the inventory's cluster is without Citus: no host of group patroni has a patroni_group")
    if not patroni.groups[1:]:
        pytest.skip("the inventory has no group of workers: every patroni_group is 0")
    found = Citus.of(cluster)
    missing = f'database "{patroni.database}" does not exist'

    def versions() -> list[Row] | None:
        try:
            return found.ask(VERSION)
        except NoLeader as error:
            if missing in str(error):
                return None
            raise

    try:
        installed = eventually(versions, accept=lambda _: True, within_s=LEADER_WITHIN_S, what="a coordinator")
    except WaitExpired as error:
        pytest.fail(str(error), pytrace=False)
    if installed is None:
        fix = "set patroni_citus_database in the inventory, or set Citus up"
        pytest.skip(f"Citus is not set up on the coordinator: there is no database {patroni.database}; {fix}")
    if not installed:
        pytest.skip(f"Citus is not installed: database {patroni.database} of the coordinator has no extension citus")
    try:
        found.settle(within_s=SETTLED_WITHIN_S)
    except HalabError as error:
        pytest.fail(str(error), pytrace=False)
    return found


@pytest.fixture
def admin(citus: Citus) -> Iterator[Connection]:
    """A superuser on the coordinator."""
    with citus.coordinator() as connection:
        yield connection


@pytest.fixture
def app(citus: Citus, space: Space, connect: Callable[[Target], Connection]) -> Connection:
    """The run's own role on the coordinator."""
    return connect(entry(citus.cluster, space.target()))


@pytest.fixture(scope="module")
def shop(citus: Citus, space: Space) -> Iterator[Shop]:
    """Tables of the module, made by the run's role and dropped at the end."""
    made = Shop(*(f"{space.schema}.{name}" for name in ("customers", "orders", "countries", "documents")))
    connection = Connection(entry(citus.cluster, space.target()))
    try:
        for statement in statements(made):
            connection.run(statement, within_s=LOAD_WITHIN_S)
        if space.has_vectors:
            fill(connection, made.documents)
            connection.run(distribute(made.documents, "id", "none"), within_s=LOAD_WITHIN_S)
            connection.run(forget_local(made.documents), within_s=LOAD_WITHIN_S)
        yield made
    finally:
        for table in (made.orders, made.customers, made.countries, made.documents):
            connection.run(f"DROP TABLE IF EXISTS {table}", within_s=LOAD_WITHIN_S)
        connection.close()


@pytest.fixture
def pair(citus: Citus, space: Space, connect: Callable[[Target], Connection]) -> Iterator[Pair]:
    """Two rows on two groups of workers."""
    if not citus.workers[1:]:
        pytest.skip("the inventory has one group of workers; transactions over two need another")
    target, table = entry(citus.cluster, space.target()), f"{space.schema}.pair"
    connection = connect(target)
    for statement in (
        f"CREATE TABLE {table} (id int PRIMARY KEY, value int NOT NULL CHECK (value >= 0))",
        distribute(table, "id", "none"),
        f"CREATE TABLE {table}_notes (id int, note int, UNIQUE (id, note) DEFERRABLE INITIALLY DEFERRED)",
        f"SELECT create_distributed_table('{table}_notes', 'id', colocate_with := '{table}')",
    ):
        connection.run(statement, within_s=LOAD_WITHIN_S)
    where = {group: shard for group, shards in citus.placements(table).items() for shard in shards[:1]}
    ids = [id_in(citus, table, where[group]) for group in citus.workers[:2]]
    connection.run(f"INSERT INTO {table} SELECT i, 100 FROM unnest(%s) AS i", (ids,), within_s=WITHIN_S)
    yield Pair(citus, target, table, (ids[0], ids[1]), (citus.workers[0], citus.workers[1]))
    with citus.coordinator() as admin:
        admin.run(f"DROP TABLE IF EXISTS {table}, {table}_notes", within_s=LOAD_WITHIN_S)


@pytest.fixture(scope="session")
def site(inventory: Path, citus: Citus) -> Site:
    """The cluster with the right to break it; without that tests are skipped."""
    found = open_site(inventory)
    try:
        consent.check(found.cluster, found.ownership, "")
    except InputError as error:
        pytest.skip(str(error))
    return found


@pytest.fixture
def whole(citus: Citus, site: Site) -> Iterator[Citus]:
    """The groups for a test that breaks them: whole when it begins, and again when it has ended."""
    citus.wait_whole(within_s=WHOLE_WITHIN_S)
    yield citus
    citus.wait_whole(within_s=WHOLE_WITHIN_S)
    citus.wait_unprepared(within_s=recovered_within_s(citus))


@pytest.fixture
def promised(
    request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> Callable[[str, float, float, str], None]:
    """Hold seconds to a bound that follows from the cluster's own settings; told as every other measured value."""

    def judge(name: str, value: float, below: float, words: str) -> None:
        one = Measured(Threshold(name, Bound(Comparison.LESS, below), "s", words), value, request.node.name)
        request.config.stash[MEASURED].append(one)
        record_property(name, value)
        record_property(f"{name}.threshold", str(one.threshold))
        if not one.holds:
            pytest.fail(str(one), pytrace=False)

    return judge
