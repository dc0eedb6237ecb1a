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
