"""Batches on a real server, judged; and one of which somebody takes a row."""

from __future__ import annotations

from tests.unit.workloads.single import schema_of_the_load

from halab.verdict import Status
from halab.waiting import eventually


def test_batches_of_a_healthy_server_are_whole(run):
    ran = run("batches", size=20)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    assert ran.count("insert") > 50
    assert ran.count("read") > 5
    assert {each.complete.timeline for each in ran.history.workloads["batches"] if each.outcome == "ok"} == {1}


def test_a_row_that_somebody_takes_is_missed(run, postgres):
    def take() -> None:
        connection = postgres.connection()
        schema = schema_of_the_load(connection)
        table = f"{schema}.batches"
        delete = f"DELETE FROM {table} WHERE item = 1 AND batch = (SELECT max(batch) FROM {table}) RETURNING 1"
        eventually(lambda: connection.run(delete, within_s=5), within_s=10, what="a row to take")
        connection.close()

    verdict = run("batches", size=20, operations=100, during=take).verdict()
    assert verdict.status is Status.INVALID
    assert "partial-batch" in verdict.details["anomalies"]
