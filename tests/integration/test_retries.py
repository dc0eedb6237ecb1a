"""A client that tries again survives what passes (B17); across the loss of a primary: TestDegradation."""

from __future__ import annotations

import pytest
from tests.integration.support.space import WITHIN_S

from halab.clients.postgres import Connection
from halab.waiting import eventually

pytestmark = [pytest.mark.live, pytest.mark.ha, pytest.mark.patroni]

ENDED_WITHIN_S = 20.0


class TestTransientFailure:
    def test_a_client_whose_session_is_killed_goes_on_in_another(
        self, leader: Connection, db: Connection, table: str
    ) -> None:
        """Only the run's own session is."""
        db.run(f"CREATE TABLE {table} (id int PRIMARY KEY)", within_s=WITHIN_S)
        [(process,)] = db.run("SELECT pg_backend_pid()", within_s=WITHIN_S)
        assert leader.run("SELECT pg_terminate_backend(%s)", (process,), within_s=WITHIN_S) == [(True,)]
        eventually(
            lambda: not leader.run("SELECT 1 FROM pg_stat_activity WHERE pid = %s", (process,), within_s=WITHIN_S),
            within_s=ENDED_WITHIN_S,
            what=f"process {process} to end",
        )
        insert = f"INSERT INTO {table} VALUES (1) ON CONFLICT DO NOTHING RETURNING pg_backend_pid()"
        [(other,)] = eventually(
            lambda: db.run(insert, within_s=WITHIN_S), within_s=ENDED_WITHIN_S, what="the second try to be acknowledged"
        )
        assert other != process
        assert leader.run(f"SELECT count(*) FROM {table}", within_s=WITHIN_S) == [(1,)]
