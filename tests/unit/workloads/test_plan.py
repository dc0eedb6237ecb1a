"""Who is told what."""

from __future__ import annotations

import pytest

from halab.clients.guard import POLLING
from halab.workloads.plan import Group, Plan
from halab.workloads.suite import Suite


@pytest.mark.parametrize(
    ("route", "back"), [("direct", "multi_host"), ("write", "write"), ("multi_host", "multi_host")]
)
def test_what_a_load_left_is_read_back_where_the_primary_is(cluster, route, back):
    """On route direct each client has one server, which may be a replica by then."""
    group = Group(workload="bank", client="bank", clients=3, rate=1, route=route, parameters={})
    plan = Plan(cluster=cluster, suite=Suite.new(), groups=(group,), seed=1)
    assert plan.reading_back(group).route == back
    assert plan.setting(group, 0, POLLING).route == route


@pytest.mark.parametrize(
    ("workload", "rate", "processes"),
    [
        pytest.param("bank", 0, 2, id="PostgreSQL's, as fast as they can"),
        pytest.param("redis_writes", 0, 4, id="others, as fast as they can"),
        pytest.param("cache", 0, 4, id="of both"),
        pytest.param("bank", 150, 3, id="as many as the rate needs"),
        pytest.param("bank", 1, 1, id="one is enough"),
        pytest.param("bank", 1000, 4, id="never more than processors"),
    ],
)
def test_a_load_has_the_processes_that_it_can_use(cluster, monkeypatch, workload, rate, processes):
    monkeypatch.setattr("os.cpu_count", lambda: 4)
    group = Group(workload=workload, client="x", clients=8, rate=rate, route="multi_host", parameters={})
    assert Plan(cluster=cluster, suite=Suite.new(), groups=(group,), seed=1).processes == processes
