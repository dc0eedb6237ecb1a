"""A work queue on a real server, judged; and what its checker says when tasks are tampered with."""

from __future__ import annotations

import itertools
import threading
import time

import pytest
from tests.unit.workloads.single import after, schema_of_the_load

from halab.history import Complete, Record
from halab.verdict import Status
from halab.waiting import eventually

QUICK = {"lease": 0.2, "forsaken": 0.2, "backlog": 40}


def test_tasks_of_a_healthy_server_take_effect_once(run):
    ran = run("work", until=after(3.0), **QUICK)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    assert all(ran.count(f) > 0 for f in ("create", "claim", "heartbeat", "finish", "give_back"))
    assert verdict.details["take_overs"] > 0
    assert verdict.details["finished"] == verdict.details["tasks"] > 20
    done = [o.complete for o in ran.history.workloads["work"] if o.outcome == "ok" and o.invoke.f == "finish"]
    assert all(complete.server == "pg1" and complete.timeline == 1 and complete.lsn for complete in done)


def test_who_lost_a_claim_is_refused(run):
    def fenced(record: Record) -> bool:
        return isinstance(record, Complete) and str(record.error).startswith("fenced")

    ran = run("work", until=fenced, lease=0.1, forsaken=0.4, backlog=10)
    refused = [o for o in ran.history.workloads["work"] if o.complete and str(o.complete.error).startswith("fenced")]
    assert refused
    assert ran.verdict().status is Status.VALID


def test_one_client_alone_makes_tasks_and_works(run):
    ran = run("work", clients=1, until=after(3.0), **QUICK)
    assert ran.verdict().status is Status.VALID
    assert ran.count("create") > 5


@pytest.mark.parametrize(
    ("change", "anomaly"),
    [
        ("INSERT INTO {0}.effects SELECT task, claim FROM {0}.effects LIMIT 1", "duplicated-effect"),
        ("DELETE FROM {0}.effects WHERE task = (SELECT min(task) FROM {0}.effects)", "lost-effect"),
        ("UPDATE {0}.tasks SET state = 'free' WHERE id = (SELECT min(task) FROM {0}.effects)", "claim-after-finish"),
        ("DELETE FROM {0}.tasks WHERE id = (SELECT max(id) FROM {0}.tasks WHERE {1}) AND {1}", "lost-task"),
    ],
)
def test_what_is_done_behind_the_queues_back_is_found(run, postgres, change, anomaly):
    again = "SELECT 1 FROM {0}.tasks WHERE id = (SELECT min(task) FROM {0}.effects) AND state <> 'free'"
    records, tampered = itertools.count(), threading.Event()

    def tamper() -> None:
        connection = postgres.connection()
        schema = schema_of_the_load(connection)
        eventually(
            lambda: connection.run(f"SELECT 1 FROM {schema}.effects LIMIT 1", within_s=5), within_s=10, what="an effect"
        )
        changed = change.format(schema, "state <> 'done'") + " RETURNING 1"
        eventually(lambda: connection.run(changed, within_s=5), within_s=10, what="a row to change")
        if anomaly == "claim-after-finish":
            eventually(lambda: connection.run(again.format(schema), within_s=5), within_s=10, what="it to be claimed")
        connection.close()
        tampered.set()

    def enough(_: Record) -> bool:
        return next(records) > 1000 and tampered.is_set()

    verdict = run("work", until=enough, during=tamper, **QUICK).verdict()
    assert verdict.status is Status.INVALID, verdict.witness
    assert anomaly in {entry["name"] for entry in verdict.details["witnesses"]}


def test_a_lost_connection_leaves_nothing_but_honest_outcomes(run, postgres):
    def cut() -> None:
        connection = postgres.connection()
        for _ in range(10):
            connection.run(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'halab/%%'",
                within_s=5,
            )
            time.sleep(0.05)
        connection.close()

    ran = run("work", operations=250, clients=6, during=cut, **QUICK)
    assert ran.verdict().status is Status.VALID, ran.verdict().witness
    unanswered = [o for o in ran.history.workloads["work"] if o.outcome != "ok" and "fenced" not in str(o.complete)]
    assert unanswered
