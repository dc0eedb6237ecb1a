"""What is read back after the load, when some of it cannot be."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from halab.clients.outcome import OperationFailed
from halab.history import Complete, Invoke
from halab.recorder import resolve
from halab.waiting import Deadline
from halab.workloads.actor import Answer, Once
from halab.workloads.plan import Group, Plan
from halab.workloads.suite import Suite

STREAM = 3


class Resolver(Once):
    """Fails so many times before it reads."""

    endpoint = "any"

    def __init__(self, failures: int) -> None:
        self._failures = failures

    def call(self, _call) -> Answer:
        if self._failures:
            self._failures -= 1
            raise OperationFailed("fail", "away", "nobody answers", reached=False)
        return Answer(value=1)

    def elsewhere(self) -> None: ...

    def close(self) -> None: ...


@pytest.fixture
def resolved(monkeypatch):
    """Reads back a workload for each number of failures; returns how many were missed, and what was recorded."""

    def go(*failures: int, within_s: float) -> tuple[int, list[Invoke | Complete]]:
        made = {f"workload{number}": many for number, many in enumerate(failures)}
        known = {name: SimpleNamespace(resolver=lambda _, many=many: Resolver(many)) for name, many in made.items()}
        monkeypatch.setattr(resolve, "workload", known.__getitem__)
        groups = [
            Group(workload=name, client=name, clients=1, rate=1, route="any", parameters={}) for name in (None, *made)
        ]
        plan = Plan(cluster=None, suite=Suite.new(), groups=tuple(groups), seed=1)
        records: list[Invoke | Complete] = []
        missed = resolve.resolve(plan, records.append, stream=STREAM, deadline=Deadline.after(within_s))
        return missed, records

    return go


def test_a_workload_that_cannot_be_read_takes_no_time_from_another(resolved):
    missed, records = resolved(10**6, 2, within_s=1.8)
    done = {each.op: each.type for each in records if isinstance(each, Complete)}
    tries = {"workload0": [], "workload1": []}
    for each in records:
        if isinstance(each, Invoke):
            tries[each.workload].append(done[each.op])
    assert missed == 1
    assert set(tries["workload0"]) == {"fail"}
    assert tries["workload1"] == ["fail", "fail", "ok"]


def test_operations_and_processes_are_nobody_elses(resolved):
    missed, records = resolved(0, 1, 0, within_s=5)
    assert missed == 0
    invoked = [each for each in records if isinstance(each, Invoke)]
    assert len({each.op for each in invoked}) == len(invoked) == 4
    assert {each.op % STREAM for each in invoked} == {STREAM - 1}
    processes = {each.client: each.process for each in invoked}
    assert len({*processes.values()}) == 3
    assert all(process < 0 for process in processes.values())


def test_without_a_workload_nothing_is_read(resolved):
    assert resolved(within_s=1) == (0, [])


def test_what_breaks_a_resolver_is_not_hidden(resolved, monkeypatch):
    def broken(_self, _call):
        raise ValueError("a defect")

    monkeypatch.setattr(Resolver, "call", broken)
    with pytest.raises(ValueError, match="a defect"):
        resolved(0, within_s=1)
