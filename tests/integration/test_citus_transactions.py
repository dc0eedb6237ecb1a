"""Transactions over several workers end on all of them or on none (B11)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import psycopg
import pytest
from tests.integration.support.citus import WITHIN_S, Citus, entry
from tests.integration.support.citus_tables import Pair
from tests.integration.support.space import Space

from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection

pytest_plugins = ("tests.integration.citus_support",)
pytestmark = [pytest.mark.live, pytest.mark.citus]

ISSUED = re.compile(r"issuing ((?:PREPARE TRANSACTION|COMMIT PREPARED|ROLLBACK PREPARED|COMMIT|ROLLBACK)\b[^\n]*)")


class Heard:
    """A session that is told every command that Citus sends to workers."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection
        self._notices: list[str] = []
        connection.add_notice_handler(lambda notice: self._notices.append(notice.message_primary or ""))
        self.run("SET citus.log_remote_commands = on")
        self.run("SET client_min_messages = notice")

    def run(self, statement: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(statement)

    @property
    def issued(self) -> list[str]:
        return [found for notice in self._notices for found in ISSUED.findall(notice)]


@pytest.fixture
def heard(citus: Citus, space: Space) -> Iterator[Heard]:
    connection = psycopg.connect(**entry(citus.cluster, space.target()).parameters(), autocommit=True)
    yield Heard(connection)
    connection.close()


class TestTransactions:
    def test_a_commit_over_groups_has_two_phases(self, citus: Citus, heard: Heard, pair: Pair) -> None:
        for statement in ("BEGIN", pair.moving(0, -10), pair.moving(1, 10), "COMMIT"):
            heard.run(statement)
        steps = [step for step in heard.issued if "PREPARE" in step]
        verbs = [step.split(" '")[0] for step in steps]
        assert verbs == ["PREPARE TRANSACTION"] * 2 + ["COMMIT PREPARED"] * 2, "all are prepared before one commits"
        names = [step.split("'")[1] for step in steps]
        assert sorted(names[:2]) == sorted(names[2:]) and len(set(names)) == 2
        assert pair.values() == (90, 110)
        assert citus.prepared() == {}

    def test_a_transaction_of_one_shard_needs_one_phase(self, heard: Heard, pair: Pair) -> None:
        for statement in ("BEGIN", pair.moving(0, -10), "COMMIT"):
            heard.run(statement)
        assert not any("PREPARE" in step for step in heard.issued), heard.issued
        assert "COMMIT" in [step.strip() for step in heard.issued]

    def test_a_rollback_undoes_it_on_every_group(self, citus: Citus, heard: Heard, pair: Pair) -> None:
        for statement in ("BEGIN", pair.moving(0, -10), pair.moving(1, 10)):
            heard.run(statement)
        inside = pair.values()
        heard.run("ROLLBACK")
        assert not any("PREPARE" in step for step in heard.issued), heard.issued
        assert inside == pair.values() == (100, 100), "nobody else saw what was not committed"
        assert citus.prepared() == {}

    def test_an_error_on_one_group_undoes_it_on_the_others(self, citus: Citus, app: Connection, pair: Pair) -> None:
        refusal = pytest.raises(OperationFailed, match="check constraint")
        with refusal as refused, app.transaction(within_s=WITHIN_S) as execute:
            execute(pair.moving(0, 10))
            execute(pair.moving(1, -1000))
        assert refused.value.outcome == "fail"
        assert pair.values() == (100, 100)
        assert citus.prepared() == {}

    def test_a_refusal_to_prepare_on_one_group_undoes_it_on_the_others(
        self, citus: Citus, heard: Heard, pair: Pair
    ) -> None:
        """A deferred constraint is checked when its worker prepares: too late for an error of a statement."""
        heard.run("BEGIN")
        heard.run(pair.moving(0, 10))
        heard.run(pair.inserting(1, note=7))
        heard.run(pair.inserting(1, note=7))
        with pytest.raises(psycopg.errors.UniqueViolation):
            heard.run("COMMIT")
        assert not any(step.startswith("COMMIT PREPARED") for step in heard.issued), heard.issued
        assert pair.values() == (100, 100)
        citus.wait_unprepared(within_s=WITHIN_S)

    def test_a_transaction_is_seen_whole_on_every_group_once_it_is_acknowledged(
        self, app: Connection, pair: Pair
    ) -> None:
        for number in range(20):
            with app.transaction(within_s=WITHIN_S) as execute:
                execute(pair.moving(0, -1))
                execute(pair.moving(1, 1))
            assert pair.values() == (99 - number, 101 + number)
