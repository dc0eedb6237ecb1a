"""The collection cleans up after itself, also when it was killed, and leaves others alone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.integration.support.access import redis_master
from tests.integration.support.space import WITHIN_S, Space

from halab.clients.postgres import Connection
from halab.clients.redis_data import RedisData
from halab.inventory import Cluster
from halab.waiting import eventually
from halab.workloads.redis_keys import keys_under
from halab.workloads.suite import cleanup
from halab.workloads.sweep import sweep_keys

pytestmark = [pytest.mark.live, pytest.mark.basic]

ENDED_WITHIN_S = 30.0
ROOT = Path(__file__).parents[2]
ANOTHER = """
import sys
from halab.clients.redis_data import RedisData
from halab.inventory import load
from tests.integration.support.access import redis_master
from tests.integration.support.space import Space

cluster = load(sys.argv[1])
space = Space(cluster)
space.__enter__()
if cluster.redis is not None:
    RedisData(cluster.redis, cluster.tls).run("SET", f"{space.prefix}left", "x", within_s=20)
print(space.schema, flush=True)
sys.stdin.read()
"""


def swept(cluster: Cluster) -> set[str]:
    """Names of the runs of which something was removed, as it is when a run begins."""
    names = set(cleanup(cluster))
    if cluster.redis is not None:
        connection = RedisData(cluster.redis, cluster.tls, at=redis_master(cluster, cluster.redis))
        names |= set(sweep_keys(cluster, connection))
        connection.close()
    return names


class TestSpace:
    def test_what_a_killed_run_left_is_removed_and_what_a_living_run_has_is_not(
        self, inventory: Path, cluster: Cluster, space: Space, leader: Connection
    ) -> None:
        another = subprocess.Popen(
            [sys.executable, "-c", ANOTHER, str(inventory)],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            assert another.stdout is not None
            name = another.stdout.readline().strip()
            assert name.startswith("halab_"), "the other run made no space"
            assert name not in swept(cluster), "a living run's space was removed"
        finally:
            another.kill()
            another.communicate()
        assert self.left(cluster, leader, name), "nothing was left behind, so nothing is proven"
        sessions = (
            f"SELECT count(*) FROM pg_stat_activity WHERE application_name = 'halab/{name.removeprefix('halab_')}'"
        )
        eventually(
            lambda: leader.run(sessions, within_s=WITHIN_S) == [(0,)],
            within_s=ENDED_WITHIN_S,
            what="the killed run's sessions to end",
        )
        removed = swept(cluster)
        assert name in removed
        assert space.schema not in removed
        assert not self.left(cluster, leader, name)

    @staticmethod
    def left(cluster: Cluster, leader: Connection, name: str) -> list[str]:
        """Objects of a run."""
        found = leader.run(
            "SELECT 'schema ' || nspname FROM pg_namespace WHERE nspname = %s "
            "UNION ALL SELECT 'role ' || rolname FROM pg_roles WHERE rolname = %s",
            (name, name),
            within_s=WITHIN_S,
        )
        names = [str(what) for (what,) in found]
        if cluster.redis is not None:
            connection = RedisData(cluster.redis, cluster.tls, at=redis_master(cluster, cluster.redis))
            names += [f"key {key}" for key in keys_under(connection, f"{name}:")]
            connection.close()
        return names
