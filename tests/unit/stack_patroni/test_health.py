"""The judge of a cluster's health: silent about a whole cluster, and a sentence for each thing that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from ansible_collections.halab.stack.plugins.module_utils import health

Seen = dict[str, Any]


def whole() -> dict[str, Seen]:
    def patroni(name: str, role: str) -> Seen:
        return {
            "name": name, "endpoint": f"https://{name}:8008", "reachable": True, "error": None, "role": role,
            "state": "running" if role == "leader" else "streaming", "timeline": 3, "pending_restart": False,
            "lag_bytes": None if role == "leader" else 0,
        }  # fmt: skip

    def redis(name: str, role: str) -> Seen:
        server = {"reachable": True, "error": "", "role": role, "master_link_up": role == "replica"}
        sentinel = {"reachable": True, "error": "", "quorum_reachable": True, "quorum_message": "OK"}
        return {"name": name, "redis": server, "sentinel": sentinel}

    etcd = [{"name": f"etcd{n}", "healthy": True, "error": "", "alarms": []} for n in (1, 2, 3)]
    balancer = {"name": "lb1", "reachable": True, "error": "", "write": ["pg1"], "read": ["pg2", "pg3"]}
    return {
        "etcd": {"endpoints": etcd, "quorum": True},
        "patroni": {
            "members": [patroni("pg1", "leader"), patroni("pg2", "quorum_standby"), patroni("pg3", "quorum_standby")],
            "leader": "pg1", "paused": False, "synchronous_standbys": ["pg2", "pg3"],
        },
        "haproxy": {"balancers": [balancer], "holder": {"name": "lb1", "error": ""}},
        "redis": {"members": [redis("r1", "master"), redis("r2", "replica")], "masters": ["r1"], "master": "10.0.0.1"},
    }  # fmt: skip


def problems(seen: dict[str, Seen], mode: str = "quorum") -> list[str]:
    return [
        *health.etcd_problems(seen["etcd"]),
        *health.patroni_problems(seen["patroni"], mode),
        *health.haproxy_problems(seen["haproxy"], seen["patroni"], "10.0.0.250"),
        *health.redis_problems(seen["redis"]),
    ]


def test_a_whole_cluster_has_no_problem() -> None:
    assert problems(whole()) == []


def member(number: int, **changes: Any) -> Callable[[dict[str, Seen]], None]:
    return lambda seen: seen["patroni"]["members"][number].update(changes)


DEFECTS: dict[str, Callable[[dict[str, Seen]], Any]] = {
    "etcd etcd2: timed out": lambda s: s["etcd"]["endpoints"][1].update(healthy=False, error="timed out"),
    "etcd etcd1: alarm NOSPACE is raised": lambda s: s["etcd"]["endpoints"][0].update(alarms=["NOSPACE"]),
    "etcd: no majority of members with a leader": lambda s: s["etcd"].update(quorum=False),
    "patroni pg2: refused": member(1, reachable=False, error="refused", state="unreachable"),
    "patroni: no member leads": member(0, role="replica", state="streaming"),
    "patroni pg1: leads, but PostgreSQL is starting": member(0, state="starting"),
    "patroni pg3: does not stream from the leader (state running)": member(2, state="running"),
    "patroni pg2: on timeline 2, the leader on 3": member(1, timeline=2),
    "patroni pg2: 99999999 bytes behind the leader": member(1, lag_bytes=99_999_999),
    "patroni pg2: PostgreSQL waits for a restart": member(1, pending_restart=True),
    "patroni: paused": lambda s: s["patroni"].update(paused=True),
    "patroni: no standby is synchronous": lambda s: s["patroni"].update(synchronous_standbys=[]),
    "patroni: the quorum counts on pg2 only": lambda s: s["patroni"].update(synchronous_standbys=["pg2"]),
    "haproxy lb1: down": lambda s: s["haproxy"]["balancers"][0].update(reachable=False, error="down"),
    "haproxy lb1: routes writes to ['pg2']": lambda s: s["haproxy"]["balancers"][0].update(write=["pg2"]),
    "haproxy lb1: routes reads to ['pg2']": lambda s: s["haproxy"]["balancers"][0].update(read=["pg2"]),
    "haproxy: nobody answers at the shared address": lambda s: s["haproxy"]["holder"].update(name="", error="x"),
    "redis r2: its link to the master is down": lambda s: s["redis"]["members"][1]["redis"].update(
        master_link_up=False
    ),
    "redis r1: gone": lambda s: s["redis"]["members"][0]["redis"].update(reachable=False, error="gone"),
    "sentinel r2: NOQUORUM": lambda s: s["redis"]["members"][1]["sentinel"].update(
        quorum_reachable=False, quorum_message="NOQUORUM"
    ),
    "redis: 2 members call themselves master": lambda s: s["redis"].update(masters=["r1", "r2"]),
    "redis: the Sentinels name no common master": lambda s: s["redis"].update(master=""),
}


@pytest.mark.parametrize("says", DEFECTS)
def test_each_defect_is_told(says: str) -> None:
    seen = deepcopy(whole())
    DEFECTS[says](seen)
    found = problems(seen)
    assert any(problem.startswith(says) for problem in found), found


def test_an_asynchronous_cluster_needs_no_synchronous_standby() -> None:
    seen = whole()
    seen["patroni"]["synchronous_standbys"] = []
    assert problems(seen, "off") == []
