"""What is read back after the load, when some of it cannot be."""

from __future__ import annotations

import time
from types import SimpleNamespace
from unittest.mock import Mock

import pytest

from halab.clients.outcome import OperationFailed
from halab.history import Complete, Invoke
from halab.recorder import recording, resolve
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


@pytest.mark.parametrize(("took_s", "least", "most"), [(0.0, 0.9, 1.0), (0.5, 0.3, 0.5), (1.0, 0.2, 0.2)])
def test_the_last_look_at_nodes_has_the_time_that_is_left_and_always_some(monkeypatch, took_s, least, most):
    """The driver gives the recorder up that takes much longer for both together than it was given."""
    given: list[float] = []
    monkeypatch.setattr(recording, "NODES_WITHIN_S", 0.2)
    monkeypatch.setattr(recording, "resolve", lambda *_, **__: time.sleep(took_s) or 3)
    monkeypatch.setattr(recording, "final_reads", lambda *_, within_s, **__: given.append(within_s) or [])
    made = Mock(_running=False, _load=SimpleNamespace(streams=1))
    assert recording.Recording._final(made, 1.0) == {"nodes": {}, "unresolved": 3}
    assert least <= given[0] <= most


def test_without_a_workload_nothing_is_read(resolved):
    assert resolved(within_s=1) == (0, [])


def test_what_breaks_a_resolver_is_not_hidden(resolved, monkeypatch):
    def broken(_self, _call):
        raise ValueError("a defect")

    monkeypatch.setattr(Resolver, "call", broken)
    with pytest.raises(ValueError, match="a defect"):
        resolved(0, within_s=1)
