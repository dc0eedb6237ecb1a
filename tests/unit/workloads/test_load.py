"""A load as processes: clients that break are told of, for what they leave out nobody would miss."""

from __future__ import annotations

import os
import queue
import signal
from pathlib import Path

import pytest

from halab.bench.scratch import Server
from halab.inventory import Cluster
from halab.waiting import eventually
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
        assert "did not end in order (exit code 1)" in told.get(timeout=20)
        assert "did not end in order (exit code 1)" in load.stop()
    finally:
        drop(cluster, suite, within_s=20)


@pytest.mark.parametrize("killed", [True, False])
def test_a_process_that_dies_while_the_load_is_stopped_is_told_of(cluster: Cluster, killed: bool) -> None:
    suite = Suite.new()
    lines: list[bytes] = []
    create(cluster, suite)
    try:
        group = Group(workload=None, client="writer", clients=2, rate=10, route="multi_host", parameters={})
        plan = Plan(cluster=cluster, suite=suite, groups=(group,), seed=1)
        before = children()
        load = Load(plan, forward=lines.append, failed=lambda _: None)
        load.prepare()
        load.start()
        eventually(lambda: lines, within_s=20, what="records of the load")
        if killed:
            os.kill(min(children() - before), signal.SIGKILL)
        assert load.stop() == (
            "a process of the load did not end in order (exit code -9); the run's recorder.log says why"
            if killed
            else ""
        )
    finally:
        drop(cluster, suite, within_s=20)


def children() -> set[int]:
    """Processes that this one has started, whichever thread of it did."""
    return {int(pid) for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}
