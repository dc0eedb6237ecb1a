"""A change runs the scenarios that it concerns, those that stand on what it touches among them."""

from __future__ import annotations

import pytest
from tests.molecule.selection import ROOT, concerned, scenarios
from tests.static.project import files

STACK = "collections/ansible_collections/halab/stack"
EVERYTHING = [one.name for one in scenarios()]


def names(*paths: str) -> list[str]:
    return [one.name for one in concerned(paths, scenarios())]


def standing_on(role: str) -> list[str]:
    return [one.name for one in scenarios() if role in (one.role, *one.needs)]


def test_scenarios_are_in_the_order_of_what_they_stand_on() -> None:
    found = scenarios()
    for number, one in enumerate(found):
        before = {other.role for other in found[:number]}
        assert set(one.needs) <= before


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (f"{STACK}/roles/haproxy/tasks/main.yml", standing_on("haproxy")),
        (f"{STACK}/roles/etcd/defaults/main.yml", standing_on("etcd")),
        (f"{STACK}/plugins/modules/redis_info.py", standing_on("redis")),
        (f"{STACK}/plugins/module_utils/patroni_api.py", standing_on("patroni")),
        (f"{STACK}/plugins/module_utils/pki.py", standing_on("certs")),
        (f"{STACK}/plugins/module_utils/files.py", EVERYTHING),
        (f"{STACK}/README.md", []),
        ("collections/ansible_collections/halab/faults/plugins/modules/process.py", EVERYTHING),
        ("molecule/node/vars.yml", ["node"]),
        ("molecule/shared/prepare.yml", EVERYTHING),
        ("tests/molecule/verify/redis/test_redis.py", ["redis"]),
        ("tests/molecule/verify/support.py", EVERYTHING),
        ("playbooks/create.yml", EVERYTHING),
        ("src/halab/clients/etcd.py", EVERYTHING),
        ("src/halab/checkers/bank.py", []),
        ("docs/architecture.md", []),
    ],
)
def test_a_path_concerns(path: str, expected: list[str]) -> None:
    assert names(path) == expected


def test_who_stands_on_a_role() -> None:
    assert "haproxy" in standing_on("haproxy")
    assert not {"redis", "etcd", "patroni", "lab"} & set(standing_on("haproxy"))
    assert {"etcd", "patroni", "haproxy"} <= set(standing_on("etcd"))
    assert {"node", "redis", "faults"} < set(standing_on("certs"))


def test_several_paths_concern_what_each_does() -> None:
    assert names("docs/faults.md", "molecule/redis/vars.yml", "molecule/node/vars.yml") == ["node", "redis"]


def test_every_role_of_the_stack_has_a_scenario() -> None:
    roles = {path.parts[-3] for path in files(ROOT) if path.match("halab/stack/roles/*/tasks/main.yml")}
    assert roles - {one.role for one in scenarios()} == set()


def test_every_scenario_is_concerned_by_its_own_folder() -> None:
    for one in scenarios():
        assert one.name in names(f"molecule/{one.name}/molecule.yml")
