"""What fault playbooks say of themselves, and what inventories lack."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.unit.scenario.clusters import LAB, MINIMAL, cluster

from halab import scenario
from halab.errors import HalabError
from halab.scenario import ScenarioError, catalogue
from halab.scenario.needs import lacking

PLAYBOOK = """\
# -e fault_comment=1 is not a parameter
- hosts: x
  vars:
    fault_id: "a-{{ fault_target }}"
    fault_hold: 30      # fault_neither
    fault_kind: full
  tasks:
    - some.module: {id: "{{ fault_id }}", size: "{{ fault_size | default(omit) }}", run: "{{ fault_run }}"}
"""
WRAPPER = """\
- ansible.builtin.import_playbook: inner.yml
  vars: {fault_kind: inodes}
"""


@pytest.fixture
def faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(catalogue, "folder", lambda: tmp_path)
    (tmp_path / "inner.yml").write_text(PLAYBOOK)
    (tmp_path / "outer.yml").write_text(WRAPPER)
    return tmp_path


def test_parameters_are_what_the_playbook_takes_and_its_caller_does_not_set(faults: Path) -> None:
    assert catalogue.names() == ("inner", "outer")
    assert catalogue.spec("inner").parameters == ("kind", "size")
    assert catalogue.spec("outer").parameters == ("size",), "what the importing playbook settles is no parameter"
    with pytest.raises(KeyError):
        catalogue.spec("third")


def document(fault: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"description": "x", "destructive": True, "faults": [fault], "promises": {"fault_acted": {}}, **more}


def test_an_unknown_parameter_is_named_with_the_closest_one(faults: Path) -> None:
    with pytest.raises(ScenarioError) as caught:
        scenario.parse(
            document({"fault": "inner", "target": "leader", "parameters": {"sise": 3}}), name="x", source="x.yml"
        )
    assert "faults[0].parameters.sise = 3: is no parameter of fault inner. Is `size` meant?" in str(caught.value)
    assert "kind, size" in str(caught.value)


@pytest.mark.parametrize("content", [b"\x7fELF\xff\xfe", b"- hosts: ["])
def test_a_playbook_that_cannot_be_read_is_named(faults: Path, content: bytes) -> None:
    (faults / "broken.yml").write_bytes(content)
    with pytest.raises(HalabError, match=r"broken\.yml: cannot be read as a playbook"):
        catalogue.spec("broken")


def test_every_fault_of_the_repository_can_be_read() -> None:
    for name in catalogue.names():
        assert not set(catalogue.spec(name).parameters) & set(catalogue.CONTRACT), name


@pytest.mark.parametrize(
    ("target", "changes", "says"),
    [
        ("redis_master", {"redis": 0}, "the inventory has no host in group redis"),
        ("haproxy_active", {"haproxy": 1}, "one balancer only"),
        ("haproxy_active", {"haproxy": 0}, "no host in group haproxy"),
    ],
)
def test_what_an_inventory_lacks(target: str, changes: dict[str, int], says: str) -> None:
    small = cluster({"etcd": 3, "patroni": 3, "haproxy": 2, "redis": 3} | changes)
    what = scenario.parse(document({"fault": "power", "target": target}), name="x", source="x")
    assert lacking(what, LAB, {}) == []
    [reason] = lacking(what, small, {})
    assert reason.startswith(f"target {target}: ")
    assert says in reason


def test_the_shared_address_and_synchronous_standbys() -> None:
    moving = scenario.parse(document({"fault": "power", "target": "haproxy_active"}), name="x", source="x")
    assert (
        "haproxy_address is not set"
        in lacking(moving, cluster({"etcd": 1, "patroni": 1, "haproxy": 2}, address=""), {})[0]
    )
    standby = scenario.parse(document({"fault": "power", "target": "sync_standby"}), name="x", source="x")
    assert "patroni_synchronous_mode is off" in lacking(standby, cluster({"etcd": 1, "patroni": 2}, mode="off"), {})[0]
    assert lacking(standby, MINIMAL, {}) == []


def test_variables_that_a_scenario_needs() -> None:
    what = scenario.parse(
        document({"fault": "power", "target": "leader"}, needs=["machine_limits"]), name="x", source="x"
    )
    assert lacking(what, LAB, {"patroni1": {"machine_limits": ["limit"]}}) == []
    assert lacking(what, LAB, {"patroni1": {}}) == [
        "machine_limits is not set in the inventory, and the scenario needs it"
    ]
