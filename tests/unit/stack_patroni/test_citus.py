"""What is said of groups of Citus: their package, their nodes, their inventory."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.halab.stack.plugins.filter.patroni_groups import patroni_groups
from ansible_collections.halab.stack.plugins.module_utils import citus_nodes, health, preflight_citus
from ansible_collections.halab.stack.plugins.module_utils.citus_package import CitusPackageError, Wanted, find
from ansible_collections.halab.stack.plugins.module_utils.preflight import Description, Host
from ansible_collections.halab.stack.plugins.module_utils.psql import Psql, SqlError
from ansible_collections.halab.stack.plugins.modules import citus_group, citus_rebalance, citus_topology

LEADERS: dict[str, str | None] = {"0": "10.0.0.1", "1": "10.0.0.3"}


def node(group: str, address: str, role: str = "primary", **changes: Any) -> dict[str, Any]:
    return {
        "group": group, "address": address, "port": 5432, "role": role, "active": True, "has_metadata": True,
        "metadata_synced": True, "takes_shards": group != "0", **changes,
    }  # fmt: skip


def nodes(**changes: Any) -> list[dict[str, Any]]:
    """A coordinator and one group of workers, with `changes` to the worker's primary."""
    # Secondaries of workers have no metadata of their own, which is as it should be.
    replica = node("1", "10.0.0.4", "secondary", has_metadata=False, metadata_synced=False)
    return [node("0", "10.0.0.1"), node("0", "10.0.0.2", "secondary"), {**node("1", "10.0.0.3"), **changes}, replica]


def test_nodes_that_name_the_leaders_have_no_problem() -> None:
    assert list(citus_nodes.problems(nodes(), LEADERS)) == []


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (nodes(address="10.0.0.3-demoted"), "is hidden, because its leader changes"),
        (nodes(address="10.0.0.9"), "is not its leader, which is at 10.0.0.3"),
        (nodes(active=False), "is not active"),
        (nodes(metadata_synced=False), "does not have the metadata"),
        (nodes(role="secondary"), "group 1 has 0 primaries"),
        ([*nodes(), node("1", "10.0.0.5")], "group 1 has 2 primaries"),
        ([*nodes(), node("7", "10.0.0.7")], "group(s) 7, which are not declared"),
    ],
)
def test_each_thing_that_is_wrong_with_nodes_is_said(found: list[dict[str, Any]], said: str) -> None:
    assert said in "; ".join(citus_nodes.problems(found, LEADERS))


def server(**changes: Any) -> dict[str, Any]:
    return {
        "reachable": True,
        "error": None,
        "version": "14.0-1",
        "nodes": nodes(),
        "prepared": [],
        "held_s": 0,
        **changes,
    }


def groups() -> dict[str, dict[str, Any]]:
    return {
        number: {"leader": number, "members": [{"role": "leader", "endpoint": f"https://{address}:8008"}]}
        for number, address in LEADERS.items()
    }


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"reachable": False, "error": "connection refused"}, "citus wa1: connection refused"),
        ({"version": None}, "citus wa1: the database has no extension citus"),
        ({"nodes": nodes(active=False)}, "citus wa1: group 1: its primary 10.0.0.3:5432 is not active"),
        ({"prepared": [{"gid": "citus_0_7", "age_s": 121}]}, "prepared transaction(s) citus_0_7"),
        ({"held_s": 61}, "has held pg_dist_node for 61 s"),
    ],
)
def test_health_says_what_is_wrong_with_a_server(changes: dict[str, Any], said: str) -> None:
    assert list(health.citus_problems({"co1": server(), "wa1": server()}, groups())) == []
    young = server(prepared=[{"gid": "citus_0_8", "age_s": 3}], held_s=5)
    assert list(health.citus_problems({"co1": young}, groups())) == []
    (problem,) = health.citus_problems({"co1": server(), "wa1": server(**changes)}, groups())
    assert said in problem


def test_health_knows_where_sessions_for_workers_go() -> None:
    balancer = {"name": "lb1", "reachable": True, "error": "", "write": ["co1"], "read": [], "workers": ["wa2"]}
    seen = {"balancers": [balancer], "holder": {"name": "", "error": ""}}
    patroni = {"leader": "co1", "members": []}
    workers = [{"leader": "wa1", "members": []}]
    assert list(health.haproxy_problems(seen, patroni, "")) == []
    assert "to ['wa2'], their leaders are ['wa1']" in "".join(health.haproxy_problems(seen, patroni, "", workers))
    assert list(health.haproxy_problems(seen, patroni, "", [{"leader": "wa2", "members": []}])) == []


def test_hosts_are_sorted_into_groups() -> None:
    hostvars = {
        "w10": {"ansible_host": "10.0.0.9", "patroni_group": 10},
        "w2": {"ansible_host": "10.0.0.3", "patroni_group": "2"},
        "c1": {"ansible_host": "10.0.0.1", "patroni_group": 0},
        "c2": {"ansible_host": "10.0.0.2", "patroni_group": 0},
    }
    found = patroni_groups(hostvars, hostvars)
    assert [group["group"] for group in found] == ["0", "2", "10"]
    assert [member["name"] for member in found[0]["members"]] == ["c1", "c2"]
    assert patroni_groups(["pg1"], {"pg1": {"ansible_host": "10.0.0.1"}})[0]["group"] == ""
    with pytest.raises(AnsibleFilterError, match="patroni_group: first of pg1"):
        patroni_groups(["pg1"], {"pg1": {"patroni_group": "first"}})


@pytest.fixture
def packages(tmp_path: Path) -> Path:
    for version in ("14.0_14.0.9.citus-1", "14.0_14.0.10.citus-1", "13.2_13.2.2.citus-1"):
        (tmp_path / f"postgresql-17-citus-{version}_amd64.deb").touch()
    (tmp_path / "postgresql-16-citus-14.0_14.0.11.citus-1_amd64.deb").touch()
    return tmp_path


def test_the_newest_package_that_fits_is_found(packages: Path) -> None:
    found = find(Wanted("14.0", "17", package_dir=str(packages)))
    assert found is not None
    assert found.name == "postgresql-17-citus-14.0_14.0.10.citus-1_amd64.deb"
    assert find(Wanted("12.1", "17", package_dir=str(packages))) is None
    assert find(Wanted("14.0", "17", package_dir=str(packages / "none"))) is None


def test_a_named_package_is_taken_or_refused(packages: Path) -> None:
    older = packages / "postgresql-17-citus-14.0_14.0.9.citus-1_amd64.deb"
    assert find(Wanted("14.0", "17", package_file=str(older), package_dir=str(packages))) == older
    with pytest.raises(CitusPackageError, match="no such file"):
        find(Wanted("14.0", "17", package_file=str(packages / "gone.deb")))
    with pytest.raises(CitusPackageError, match=r"is not that of postgresql-16-citus-14\.0"):
        find(Wanted("14.0", "16", package_file=str(older)))


def described(folder: Path, *, group: object = 0, **variables: Any) -> Description:
    shared = {"citus_version": "14.0", "citus_package_dir": str(folder), "patroni_postgresql_version": 17}
    host = Host("c1", "10.0.0.1", {**shared, "patroni_group": group, **variables})
    return Description({"c1": host}, {"patroni": ["c1"]})


def test_preflight_says_where_citus_comes_from(packages: Path) -> None:
    problems, notes, warnings = preflight_citus.check(described(packages))
    assert (problems, warnings) == ([], [])
    assert notes == ["citus: postgresql-17-citus-14.0_14.0.10.citus-1_amd64.deb"]


def test_preflight_refuses_a_cluster_of_groups_without_the_package(tmp_path: Path) -> None:
    (problem,), _, _ = preflight_citus.check(described(tmp_path))
    assert problem.key == "citus"
    assert "citus_package_dir" in problem.fix
    assert "citus_repository_url is empty" in problem.fix


def test_preflight_names_the_missing_pin_and_a_repository_that_does_not_answer(tmp_path: Path) -> None:
    repository = {"citus_repository_url": "http://127.0.0.1:9", "citus_repository_suite": "trixie"}
    (problem,), _, _ = preflight_citus.check(described(tmp_path, **repository))
    assert "citus_repository_key_sha256" in problem.fix
    (problem,), _, _ = preflight_citus.check(described(tmp_path, **repository, citus_repository_key_sha256="0" * 64))
    assert "http://127.0.0.1:9/dists/trixie/Release" in problem.fix


def test_without_groups_auto_goes_on_and_says_so(tmp_path: Path) -> None:
    problems, notes, (warning,) = preflight_citus.check(described(tmp_path, group="", citus="auto"))
    assert (problems, notes) == ([], [])
    assert warning.startswith("citus: auto: no postgresql-17-citus-14.0_*.deb in citus_package_dir")
    assert warning.endswith("goes on without Citus, which is not tested")
    assert preflight_citus.check(described(tmp_path, group="")) == ([], [], [])


@pytest.mark.parametrize(("choice", "fix"), [("auto", "required"), ("absent", "required"), ("maybe", "choose one of")])
def test_groups_cannot_do_without_citus(packages: Path, choice: str, fix: str) -> None:
    (problem,), _, _ = preflight_citus.check(described(packages, citus=choice))
    assert problem.key == "citus"
    assert fix in problem.fix


class Server:
    """Answers psql by the first part of a statement that it knows, and keeps what it was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, words: Sequence[str]) -> tuple[int, str, str]:
        statements = [word for before, word in pairwise(words) if before == "--command"]
        self.asked += statements
        for part, answer in self.answers.items():
            if part in statements[-1]:
                return (1, "", str(answer)) if isinstance(answer, Exception) else (0, json.dumps(answer), "")
        return 0, "", ""

    def psql(self) -> Psql:
        return Psql.of({"database": "o'brien", "socket_directory": "/run", "port": 1, "superuser": "postgres",
                        "system_user": "postgres"}, self)  # fmt: skip


def test_a_replica_is_left_alone() -> None:
    replica = Server(pg_is_in_recovery=[{"value": True}])
    done = citus_topology.converge(replica.psql(), {"group": "0"}, check_mode=False)
    assert (done["changed"], done["leads"]) == (False, False)
    assert len(replica.asked) == 1


def test_a_leader_forgets_the_password_and_waits_for_every_group() -> None:
    answers = {
        "pg_is_in_recovery": [{"value": False}], "EXISTS (": [{"value": True}], "DELETE": "",
        "pg_dist_authinfo": [{"value": 1}], "pg_dist_node": nodes(),
        "extname FROM": [{"extname": "citus"}], "CREATE EXTENSION": "",
    }  # fmt: skip
    parameters = {"group": "0", "groups": ["0", "1"], "extensions": ["vector"], "within_s": 0.1, "database": "citus"}
    leader = Server(**answers)
    done = citus_topology.converge(leader.psql(), parameters, check_mode=False)
    assert done["changes"] == ["no password in pg_dist_authinfo", "extension vector"]
    assert leader.asked[-1] == 'CREATE EXTENSION IF NOT EXISTS "vector"'
    watched = Server(**answers)
    assert citus_topology.converge(watched.psql(), parameters, check_mode=True)["changed"]
    assert not [asked for asked in watched.asked if asked.startswith(("DELETE", "CREATE"))]
    with pytest.raises(SqlError, match=r"register every group: group 2 has 0 primaries"):
        citus_topology.converge(leader.psql(), {**parameters, "groups": ["0", "1", "2"]}, check_mode=False)


def test_the_coordinator_cannot_leave_and_a_full_group_cannot_be_forgotten() -> None:
    leader = Server(pg_is_in_recovery=[{"value": False}], pg_dist_placement=[{"shards": 4}], pg_dist_node=nodes())
    with pytest.raises(SqlError, match="group = 0"):
        citus_group.leave(leader.psql(), {"group": 0, "state": "drained"}, check_mode=False)
    with pytest.raises(SqlError, match=r"group 1 still has 4 shard\(s\)"):
        citus_group.leave(leader.psql(), {"group": 1, "state": "absent"}, check_mode=False)


def test_replicas_are_forgotten_before_their_primary_and_a_dead_node_is_disabled_first() -> None:
    answers = {"pg_is_in_recovery": [{"value": False}], "pg_dist_placement": [{"shards": 0}], "pg_dist_node": nodes()}
    leader = Server(**answers)
    done = citus_group.leave(leader.psql(), {"group": 1, "state": "absent"}, check_mode=False)
    assert done["removed"] == ["10.0.0.4", "10.0.0.3"]
    removals = [asked for asked in leader.asked if "citus_remove_node" in asked]
    assert removals == ["SELECT citus_remove_node('10.0.0.4', 5432)", "SELECT citus_remove_node('10.0.0.3', 5432)"]
    again = Server(**{**answers, "pg_dist_node": []})
    assert citus_group.leave(again.psql(), {"group": 1, "state": "absent"}, check_mode=False)["changed"] is False


MOVE = {"table": "t", "shard": 102008, "source": "10.0.0.3", "target": "10.0.0.5"}


def balancing(*plans: list[dict[str, Any]], job: int | None = None, state: str = "finished") -> Server:
    """A coordinator whose plan of moves is another each time it is asked, and whose jobs end in a state."""
    left = list(plans)

    class Coordinator(Server):
        def __call__(self, words: Sequence[str]) -> tuple[int, str, str]:
            if "get_rebalance_table_shards_plan" in words[-1]:
                self.asked.append(words[-1])
                return 0, json.dumps(left.pop(0)), ""
            return super().__call__(words)

    return Coordinator(**{
        "pg_is_in_recovery": [{"value": False}], "max(job_id)": [{"value": job}], "CROSS JOIN": [],
        "citus_rebalance_start": [{"value": 7}], "state::text": [{"value": state}],
        "message": [{"message": "no room\n"}],
    })  # fmt: skip


def spread(server: Server, *, check_mode: bool = False) -> dict[str, Any]:
    parameters = {"strategy": "by_shard_count", "within_s": 1.0}
    return citus_rebalance.spread(server.psql(), parameters, check_mode=check_mode)


def test_shards_are_moved_until_the_plan_is_empty() -> None:
    server = balancing([MOVE], [])
    assert spread(server) == {"changed": True, "moves": [MOVE], "copies": {}}
    with pytest.raises(SqlError, match=r"1 move\(s\) are left"):
        spread(balancing([MOVE], [MOVE]))
    with pytest.raises(SqlError, match="job 7 is failed: no room"):
        spread(balancing([MOVE], state="failed"))


def test_nothing_is_started_where_nothing_is_to_be_moved_or_in_check_mode() -> None:
    for server, check_mode in ((balancing([]), False), (balancing([MOVE]), True)):
        assert spread(server, check_mode=check_mode)["changed"] is check_mode
        assert not [asked for asked in server.asked if "citus_rebalance_start" in asked]


def test_a_job_that_runs_is_waited_for() -> None:
    assert spread(balancing([], job=6))["changed"]
    with pytest.raises(SqlError, match=r"waited .* s for the rebalance job 6, which goes on \(running\): no room"):
        spread(balancing([], job=6, state="running"))
