"""A load as processes: clients that break are told of, for what they leave out nobody would miss."""

from __future__ import annotations

import queue

from halab.bench.scratch import Server
from halab.inventory import Cluster
from halab.workloads.load import Load
from halab.workloads.plan import Group, Plan
from halab.workloads.suite import Suite, create, drop

# The table takes rows and returns none, as no server does that has no trigger.
SILENT = """
    CREATE FUNCTION {schema}.nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER silent BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {schema}.nothing()
"""


def test_a_client_that_breaks_ends_the_load(postgres: Server, cluster: Cluster) -> None:
    suite, told = Suite.new(), queue.SimpleQueue[str]()
    lines: list[bytes] = []
    create(cluster, suite)
    try:
        admin = postgres.connection()
        admin.run(SILENT.format(schema=suite.name, table=suite.table), within_s=5)
        admin.close()
        group = Group(workload=None, client="writer", clients=2, rate=10, route="multi_host", parameters={})
        plan = Plan(cluster=cluster, suite=suite, groups=(group,), seed=1)
        load = Load(plan, forward=lines.append, failed=told.put)
        load.prepare()
        load.start()
        assert "ended by itself (exit code 1)" in told.get(timeout=20)
        load.stop()
    finally:
        drop(cluster, suite, within_s=20)
