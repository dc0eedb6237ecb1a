"""A counter on a real server, judged; and what its checker says when somebody turns it back."""

from __future__ import annotations

import pytest
from tests.unit.workloads.single import actors, behind, failure_when_killed

from halab.verdict import Status
from halab.workloads.actor import Call


@pytest.mark.parametrize("route", ["write", "multi_host", "direct"])
def test_a_healthy_server_counts_every_increment_once(run, route):
    ran = run("counter", route=route)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    done = [operation.complete for operation in ran.history.workloads["counter"]]
    assert {(complete.server, complete.timeline, complete.in_recovery) for complete in done} == {("pg1", 1, False)}
    assert done[-1].value == ran.count("increment") > 50
    assert ran.count("read") > 20


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE {0}.counters SET value = value - 10",
        "UPDATE {0}.counters SET value = value + 1000",
        "DELETE FROM {0}.counters",
    ],
)
def test_a_counter_that_somebody_turns_or_removes_is_found(run, postgres, change):
    once = "SELECT 1 FROM {0}.counters WHERE value > 20"
    verdict = run("counter", during=behind(postgres, change, once=once)).verdict()
    assert verdict.status is Status.INVALID
    assert {"too-low", "too-high", "went-backwards"} & {*verdict.details["anomalies"]}


def test_an_increment_whose_connection_is_lost_is_unknown(cluster, postgres):
    with actors(cluster, "counter") as (make, suite):
        actor = make()
        with postgres.connection().transaction(within_s=10) as execute:
            execute(f"SELECT 1 FROM {suite.name}.counters FOR UPDATE")
            lost = failure_when_killed(actor, Call("increment"), postgres.connection(), suite, "Lock")
        assert (lost.outcome, lost.lost) == ("info", True)
        assert actor.call(Call("increment")).value == 1
