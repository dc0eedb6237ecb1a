"""Transactions on lists of a real server, judged at their level and above it, and lists that are tampered with."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.workloads.single import actors, behind, failure_when_killed

from halab.checkers import list_append
from halab.verdict import Status
from halab.workloads.actor import Call
from halab.workloads.list_append import BLOCK


@pytest.mark.parametrize("append", ["in place", "rewrite"])
@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_transactions_of_a_healthy_server_are_isolated(run, isolation, append):
    ran = run("list_append", isolation=isolation, append=append, operations=40, keys=3)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    done = [operation for operation in ran.history.workloads["list_append"] if operation.outcome == "ok"]
    assert {operation.invoke.f for operation in done} == {"transaction", "read", "final"}
    who = {(o.complete.server, o.complete.timeline, o.complete.in_recovery) for o in done}
    assert who == {("pg1", 1, False)}
    steps = {len(operation.invoke.value) for operation in done if operation.invoke.f != "final"}
    assert steps == {2, 3, 4}
    refused = {o.complete.error.split(":")[0] for o in ran.history.workloads["list_append"] if o.outcome == "fail"}
    assert refused <= {"40001"}, "and no deadlocks"
    assert (isolation == "read committed") == (not refused)


def test_a_lower_level_is_told_from_a_higher(run):
    """The server does less than is asked of it: what a promise of more would be worth."""
    ran = run("list_append", isolation="read committed", clients=6, operations=60, keys=2)
    [planned] = ran.context.workloads.values()
    claims = {"list_append": replace(planned, parameters={**planned.parameters, "isolation": "serializable"})}
    verdict = list_append.check(ran.history, replace(ran.context, workloads=claims))
    assert verdict.status is Status.INVALID
    assert {"lost update", "G-single", "G2-item"} & {*verdict.details["anomalies"]}


@pytest.mark.parametrize(
    ("change", "anomaly"),
    [
        ("UPDATE {0}.lists SET items = items[2:] WHERE id = 0", "incompatible order"),
        ("UPDATE {0}.lists SET items = items || 7::bigint WHERE id = 0", "garbage read"),
        ("UPDATE {0}.lists SET items = items || items[1] WHERE id = 0", "duplicate elements"),
    ],
)
def test_lists_that_somebody_else_changes_are_found(run, postgres, change, anomaly):
    tamper = behind(postgres, change, once="SELECT 1 FROM {0}.lists WHERE id = 0 AND cardinality(items) > 20")
    verdict = run("list_append", during=tamper, keys=2, operations=50, isolation="read committed").verdict()
    assert verdict.status is Status.INVALID
    assert anomaly in verdict.details["anomalies"]


def test_what_is_lost_before_commit_failed_and_at_commit_is_unknown(cluster, postgres):
    call = Call("transaction", value=[["append", 1, 5], ["r", 1, None]])
    with actors(cluster, "list_append") as (make, suite):
        actor, superuser = make(), postgres.connection()
        with superuser.transaction(within_s=10) as execute:
            execute(f"SELECT 1 FROM {suite.name}.lists WHERE id = 1 FOR UPDATE")
            before = failure_when_killed(actor, call, postgres.connection(), suite, "Lock")
        assert (before.outcome, before.lost) == ("fail", True)
        for statement in SLOW_COMMIT:
            superuser.run(statement.format(suite.name), within_s=5)
        during = failure_when_killed(actor, call, superuser, suite, "Timeout")
        assert (during.outcome, during.lost) == ("info", True)
        superuser.run(f"DROP TRIGGER slow ON {suite.name}.lists", within_s=5)
        assert actor.call(call).value == [["append", 1, 5], ["r", 1, [5]]]


def test_rows_are_made_as_keys_go_on_and_a_missing_one_is_no_append(cluster, postgres):
    with actors(cluster, "list_append") as (make, suite):
        actor, resolver, superuser = make(), make(resolver=True), postgres.connection()
        far = BLOCK + 5
        assert actor.call(Call("read", value=[["r", far, None]])).value == [["r", far, []]]
        superuser.run(f"DELETE FROM {suite.name}.lists WHERE id = {far}", within_s=5)
        call = Call("transaction", value=[["append", far, 5], ["append", 0, 6]])
        with pytest.raises(Exception, match="no-row") as raised:
            actor.call(call)
        assert raised.value.outcome == "fail"
        assert actor.call(call).value == call.value
        last = resolver.next()
        assert resolver.call(last).value == {"from": 0, "below": None, "rows": [[0, [6]], [far, [5]]]}
        assert resolver.next() is None


def test_many_lists_are_read_back_page_by_page(cluster, postgres):
    with actors(cluster, "list_append") as (make, suite):
        postgres.connection().run(f"UPDATE {suite.name}.lists SET items = ARRAY[id] WHERE id < 1200", within_s=5)
        resolver = make(resolver=True)
        pages = [resolver.call(call).value for call in iter(resolver.next, None)]
        assert [(page["from"], page["below"]) for page in pages] == [(0, 500), (500, 1000), (1000, None)]
        assert [row for page in pages for row in page["rows"]] == [[key, [key]] for key in range(1200)]


SLOW_COMMIT = (
    "CREATE FUNCTION {0}.slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(30); RETURN NULL; END'",
    """CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON {0}.lists DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION {0}.slow()""",
)
