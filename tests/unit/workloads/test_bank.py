"""Money on a real server, judged; and what its checker says about a server that loses some."""

from __future__ import annotations

import pytest
from tests.unit.workloads.single import actors, behind, failure, schema_of_the_load

from halab.verdict import Status
from halab.workloads.actor import Call


def test_money_of_a_healthy_server_is_kept(run):
    ran = run("bank")
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    assert ran.count("transfer") > 50
    assert ran.count("final") == 1
    assert all(o.complete.timeline == 1 for o in ran.history.workloads["bank"] if o.outcome == "ok")


def test_money_that_somebody_takes_is_missed(run, postgres):
    def steal() -> None:
        connection = postgres.connection()
        schema = schema_of_the_load(connection)
        connection.run(f"UPDATE {schema}.accounts SET balance = balance - 1 WHERE id = 0", within_s=5)
        connection.close()

    verdict = run("bank", during=steal).verdict()
    assert verdict.status is Status.INVALID
    assert "wrong-total" in {entry["name"] for entry in verdict.details["witnesses"]}


# Row by row, the second would deadlock with transfers between two accounts that it comes to in another order.
@pytest.mark.parametrize("removal", ["DELETE FROM {0}.accounts WHERE id = 3", "TRUNCATE {0}.accounts"])
def test_accounts_that_somebody_removes_are_missed(run, postgres, removal):
    verdict = run("bank", during=behind(postgres, removal)).verdict()
    assert verdict.status is Status.INVALID, verdict.witness
    assert "has no balance of account" in verdict.witness


def test_a_transfer_to_an_account_that_is_gone_fails_and_takes_nothing(cluster, postgres):
    with actors(cluster, "bank") as (make, suite):
        postgres.connection().run(f"DELETE FROM {suite.name}.accounts WHERE id = 3", within_s=5)
        failed = failure(make(), Call("transfer", value={"from": 1, "to": 3, "amount": 2}))
        assert (failed.outcome, failed.error_class, failed.reached) == ("fail", "no-row", True)
        assert dict(make(resolver=True).call(Call("final")).value)[1] == 100


def test_serializable_transfers_fail_rather_than_lie(run):
    ran = run("bank", accounts=2, isolation="serializable", clients=6)
    assert ran.verdict().status is Status.VALID
    assert ran.count("transfer", "fail") > 0
