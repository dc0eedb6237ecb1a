"""What the modules decide from the answers of Patroni and etcd. The answers are as Patroni 4.0.7 gave them."""

from __future__ import annotations

import json
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.halab.stack.plugins.module_utils import patroni_api
from ansible_collections.halab.stack.plugins.module_utils.patroni_api import (
    PatroniError,
    PatroniSilentError,
    Status,
    difference,
    leader_of,
)
from ansible_collections.halab.stack.plugins.module_utils.patroni_dcs import (
    State,
    foreign_reason,
    local_identifier,
    parse,
)
from ansible_collections.halab.stack.plugins.module_utils.patroni_member import Member, refuse_another
from ansible_collections.halab.stack.plugins.modules.patroni_restart import ordered, refuse_unhealthy
from ansible_collections.halab.stack.plugins.modules.patroni_switchover import choose, found

DECLARED = {"pg1": "10.0.0.1", "pg2": "10.0.0.2"}


def status(name: str, **answer: Any) -> Status:
    known = {"state": "running", "patroni": {"name": name, "scope": "main"}, "dcs_last_seen": 1, **answer}
    return Status(f"https://{name}:8008", answer=known)


def leader(name: str = "pg1", **answer: Any) -> Status:
    return status(name, role="primary", timeline=1, **answer)


def replica(name: str, **answer: Any) -> Status:
    return status(name, **{"role": "replica", "replication_state": "streaming", **answer})


def dead(name: str) -> Status:
    return Status(f"https://{name}:8008", error=f"GET https://{name}:8008/patroni: Connection refused")


def test_a_primary_without_the_lock_does_not_lead() -> None:
    assert leader().leads
    assert not leader(cluster_unlocked=True).leads
    assert not status("pg1", role="primary", state="starting").leads
    assert not dead("pg1").leads


def test_a_replica_in_recovery_of_its_archive_does_not_stream() -> None:
    assert replica("pg2").streams
    assert not replica("pg2", replication_state="in archive recovery").streams
    assert not replica("pg2", state="starting").streams
    assert not leader().streams


def test_no_leader_is_told_with_what_each_member_says() -> None:
    with pytest.raises(PatroniError, match=r"no member leads: pg2: role replica.*Connection refused"):
        leader_of([replica("pg2", cluster_unlocked=True), dead("pg1")])


def test_waiting_ends_with_the_last_thing_seen() -> None:
    with pytest.raises(PatroniError, match="waited 0 s for the moon; last seen: clouds"):
        patroni_api.await_none(lambda: "clouds", within_s=0, what="the moon")


LIVE = {"ttl": 30, "pause": True, "postgresql": {"use_slots": True, "parameters": {"max_connections": "100", "x": 1}}}


@pytest.mark.parametrize(
    ("declared", "patch"),
    [
        ({"ttl": 30}, {}),
        ({"ttl": "30"}, {}),
        ({"ttl": 20}, {"ttl": 20}),
        ({"new": False}, {"new": False}),
        ({"pause": None}, {"pause": None}),
        ({"gone": None}, {}),
        ({"postgresql": {"use_slots": True}}, {}),
        (
            {"postgresql": {"parameters": {"max_connections": 200, "x": 1}}},
            {"postgresql": {"parameters": {"max_connections": 200}}},
        ),
        ({"postgresql": {"parameters": {"max_connections": 100}}}, {"postgresql": {"parameters": {"x": None}}}),
        ({"standby_cluster": {"host": "a"}}, {"standby_cluster": {"host": "a"}}),
        ({"ttl": {"odd": 1}}, {"ttl": {"odd": 1}}),
    ],
)
def test_the_difference_is_the_smallest_patch(declared: dict[str, Any], patch: dict[str, Any]) -> None:
    assert difference(LIVE, declared, owned=["postgresql.parameters"]) == patch


def applied(config: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    """Patroni's own merge (patroni.utils.patch_config)."""
    result = dict(config)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = applied(result[key], value)
        elif str(result.get(key)) != str(value) or key not in result:
            result[key] = value
    return result


SCALARS = st.one_of(st.integers(0, 3), st.booleans(), st.sampled_from(["0", "on", "True"]))
CONFIGS = st.dictionaries(
    st.sampled_from("abcd"),
    st.one_of(SCALARS, st.dictionaries(st.sampled_from("abcd"), SCALARS, max_size=3)),
    max_size=4,
)


@given(CONFIGS, CONFIGS)
def test_a_patched_configuration_has_no_difference_left(live: dict[str, Any], declared: dict[str, Any]) -> None:
    patch = difference(live, declared, owned=["a"])
    assert difference(applied(live, patch), declared, owned=["a"]) == {}


def names(statuses: list[Status]) -> list[str]:
    return [each.name for each in statuses]


def test_restarts_go_replicas_first_and_only_where_pending() -> None:
    pending = {"pending_restart": True, "pending_restart_reason": {"max_connections": GROWS}}
    members = [leader("pg1", **pending), replica("pg2", **pending), replica("pg3")]
    assert names(ordered(members)) == ["pg2", "pg1"]
    assert ordered([leader(), replica("pg2")]) == []


GROWS = {"old_value": "100", "new_value": "200"}
SHRINKS = {"old_value": "100", "new_value": "99"}


@pytest.mark.parametrize(
    ("reason", "first"),
    [
        ({"max_connections": SHRINKS}, "pg1"),
        ({"max_connections": GROWS, "max_wal_senders": SHRINKS}, "pg1"),
        ({"shared_buffers": {"old_value": "64MB", "new_value": "32MB"}}, "pg2"),
        ({"max_connections": {"old_value": "99", "new_value": "100"}}, "pg2"),
        (None, "pg2"),
    ],
)
def test_what_a_standby_may_not_have_smaller_shrinks_on_the_leader_first(reason: Any, first: str) -> None:
    pending = {"pending_restart": True, "pending_restart_reason": reason}
    assert ordered([replica("pg2", **pending), leader("pg1", **pending)])[0].name == first


def test_nothing_is_restarted_while_a_member_is_down() -> None:
    refuse_unhealthy([leader(), replica("pg2")])
    with pytest.raises(PatroniError, match="pg2: role replica, state starting"):
        refuse_unhealthy([leader(), replica("pg2", state="starting")])
    with pytest.raises(PatroniError, match="Connection refused"):
        refuse_unhealthy([leader(), dead("pg2")])
    with pytest.raises(PatroniError, match="no member leads"):
        refuse_unhealthy([replica("pg1"), replica("pg2")])


QUORUM = {"synchronous_mode": "quorum"}


def test_a_candidate_must_be_counted_on_where_replication_is_synchronous() -> None:
    # pg2 remembers the last leader, which counted on it.
    members = [leader(), replica("pg2", quorum_standby=True), replica("pg3")]
    assert choose(members, QUORUM, None, counted={"pg3"}).name == "pg3"
    assert choose(members, {"synchronous_mode": False}, None, counted=()).name == "pg2"
    assert choose(members, {}, "pg2", counted=()).name == "pg2"
    with pytest.raises(PatroniError, match="candidate = pg2: it must be a synchronous standby"):
        choose(members, QUORUM, "pg2", counted={"pg3"})


def test_a_candidate_must_stream_and_exist() -> None:
    with pytest.raises(PatroniError, match="candidate = pg2: it must be streaming"):
        choose([leader(), replica("pg2", replication_state=None)], {}, "pg2", counted={"pg2"})
    with pytest.raises(PatroniError, match="candidate = pg9: no member of this name answers"):
        choose([leader(), replica("pg2")], {}, "pg9", counted=())
    with pytest.raises(PatroniError, match="candidate = any"):
        choose([leader(), dead("pg2")], {}, None, counted={"pg2"})


class Answers:
    """pg1 leads and pg2 streams; on whom the leader counts is another at each look, the last one stays."""

    def __init__(self, *looks: dict[str, str]) -> None:
        self.looks = list(looks)

    def statuses(self, _endpoints: list[str]) -> list[Status]:
        return [leader(), replica("pg2")]

    def read(self, endpoint: str, path: str) -> Any:
        assert (endpoint, path) == (leader().endpoint, "/cluster")
        roles = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        return {"members": [{"name": name, "role": role} for name, role in roles.items()]}


def test_a_candidate_is_awaited_while_the_leader_has_yet_to_name_one() -> None:
    wanted = {"endpoints": [], "candidate": None, "within_s": 60.0}
    quick = {**QUORUM, "loop_wait": 1}
    later = Answers({"pg1": "leader", "pg2": "replica"}, {"pg1": "leader", "pg2": "quorum_standby"})
    assert found(later, leader(), wanted, quick).name == "pg2"
    never = Answers({"pg1": "leader", "pg2": "replica"})
    with pytest.raises(PatroniError, match="it must be a synchronous standby"):
        found(never, leader(), {**wanted, "within_s": 0.3}, quick)
    with pytest.raises(PatroniError, match="no member of this name answers"):
        found(never, leader(), {**wanted, "candidate": "pg9"}, quick)


@pytest.mark.parametrize(("stays_old_for", "reloads"), [(0, 1), (1, 2)])
def test_a_reload_ends_with_the_certificate_that_is_on_the_disk(
    tmp_path: Path, stays_old_for: int, reloads: int
) -> None:
    (tmp_path / "node.crt").write_text(ssl.DER_cert_to_PEM_cert(b"new") + ssl.DER_cert_to_PEM_cert(b"authority"))
    said: list[str] = []
    silent = ["Connection reset by peer"]

    class Rest:
        def await_loop(self, _endpoints: Sequence[str], *, within_s: float) -> None:
            said.append(f"a loop within {within_s > 0}")

        def certificate(self, _endpoint: str) -> bytes:
            if silent:
                raise PatroniSilentError(silent.pop())
            return b"old" if said.count("reload") <= stays_old_for else b"new"

        def status(self, _endpoint: str) -> Status:
            return leader()

    def run(command: Sequence[str]) -> tuple[int, str, str]:
        said.extend(word for word in command if word == "reload")
        return 0, "active", ""

    parameters = {
        "endpoint": leader().endpoint,
        "cert_file": str(tmp_path / "node.crt"),
        "service": "patroni",
        "within_s": 9.0,
    }
    member = Member(parameters, run, check_mode=False)
    member.__dict__["api"] = Rest()
    assert member.reload()["changed"]
    assert said == ["reload", "a loop within True"] * reloads
    assert not silent


def test_the_keys_of_a_scope() -> None:
    prefix = "/service/main/"
    member = json.dumps({"conn_url": "postgres://10.0.0.1:5432/postgres", "api_url": "https://10.0.0.1:8008/patroni"})
    keys = {
        f"{prefix}initialize": "77",
        f"{prefix}members/pg1": member,
        f"{prefix}members/pg2": "{",
        f"{prefix}leader": "",
    }
    assert parse(keys, prefix) == State(initialized=True, identifier="77", members={"pg1": "10.0.0.1", "pg2": ""})
    assert parse({}, prefix) == State(initialized=False, identifier="", members={})


@pytest.mark.parametrize(
    ("state", "identifier", "said"),
    [
        (State(initialized=False, identifier="", members={}), None, ""),
        (State(initialized=False, identifier="", members={}), "77", ""),
        (State(initialized=True, identifier="77", members=DECLARED), "77", ""),
        (State(initialized=True, identifier="77", members=DECLARED), None, ""),
        (State(initialized=True, identifier="", members={"pg1": ""}), "77", ""),
        (State(initialized=True, identifier="77", members={"db1": "10.9.9.9"}), None, "a member db1 at 10.9.9.9"),
        (State(initialized=True, identifier="77", members={"pg1": "10.9.9.9"}), None, "declared at 10.0.0.1"),
        (State(initialized=True, identifier="77", members={}), "78", "the data here has 78"),
    ],
)
def test_a_scope_of_another_cluster_is_told(state: State, identifier: str | None, said: str) -> None:
    reason = foreign_reason(state, DECLARED, identifier)
    assert said in reason
    assert bool(reason) is bool(said)


def test_the_identifier_of_a_data_directory() -> None:
    text = "pg_control version number:            1700\nDatabase system identifier:           7710484995287278002\n"
    assert local_identifier(text) == "7710484995287278002"
    assert local_identifier("") is None


def test_a_member_keeps_what_it_is(tmp_path: Any) -> None:
    file = tmp_path / "config.yml"
    declared = {
        "configuration_file": str(file),
        "name": "pg1",
        "scope": "main",
        "namespace": "/service/",
        "group": "",
        "data_directory": "/srv/data/postgresql/17/main",
    }
    refuse_another(declared)
    file.write_text('scope: "main"\nnamespace: "/service/"\nname: "pg1"\n  data_dir: "/srv/data/postgresql/17/main"\n')
    refuse_another(declared)
    with pytest.raises(PatroniError, match="patroni_data_dir = /srv/data/postgresql/18/main"):
        refuse_another({**declared, "data_directory": "/srv/data/postgresql/18/main"})
    with pytest.raises(PatroniError, match="patroni_scope = second"):
        refuse_another({**declared, "scope": "second"})
    with pytest.raises(PatroniError, match="patroni_group = 1: this host is a member with group none"):
        refuse_another({**declared, "group": "1"})
