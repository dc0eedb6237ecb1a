"""What is wrong is refused with words that say what, and the session goes on (B4)."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import psycopg
import pytest
from tests.integration.support.space import WITHIN_S, Space

from halab.clients.outcome import OperationFailed
from halab.clients.postgres import Connection, Target

pytestmark = [pytest.mark.live, pytest.mark.basic]

PATIENCE_S = 1.0
CANCELLED = "57014"


@contextmanager
def unharmed(session: Connection) -> Iterator[None]:
    """After an error the same server process answers the same session."""
    question = "SELECT pg_backend_pid()"
    before = session.run(question, within_s=WITHIN_S)
    yield
    assert session.run(question, within_s=WITHIN_S) == before, "the session was replaced"


class TestErrors:
    @pytest.mark.pgvector
    def test_a_vector_of_the_wrong_dimension_is_refused(self, db: Connection, table: str) -> None:
        db.run(f"CREATE TABLE {table} (id int, embedding vector(3))", within_s=WITHIN_S)
        with unharmed(db), pytest.raises(OperationFailed, match="expected 3 dimensions, not 2") as refused:
            db.run(f"INSERT INTO {table} VALUES (1, '[1,2]')", within_s=WITHIN_S)
        assert refused.value.outcome == "fail"
        assert db.run(f"SELECT count(*) FROM {table}", within_s=WITHIN_S) == [(0,)]

    @pytest.mark.pgvector
    def test_vectors_of_different_dimensions_are_not_compared(self, db: Connection) -> None:
        with unharmed(db), pytest.raises(OperationFailed, match="different vector dimensions 2 and 3"):
            db.run("SELECT '[1,2]'::vector <-> '[1,2,3]'::vector", within_s=WITHIN_S)

    def test_a_duplicate_key_is_refused(self, db: Connection, table: str) -> None:
        db.run(f"CREATE TABLE {table} (id int CONSTRAINT only_once PRIMARY KEY, body text)", within_s=WITHIN_S)
        db.run(f"INSERT INTO {table} VALUES (7, 'first')", within_s=WITHIN_S)
        with unharmed(db), pytest.raises(OperationFailed, match="only_once") as refused:
            db.run(f"INSERT INTO {table} VALUES (7, 'second')", within_s=WITHIN_S)
        assert (refused.value.error_class, refused.value.outcome) == ("23505", "fail")
        assert db.run(f"SELECT body FROM {table}", within_s=WITHIN_S) == [("first",)]

    def test_a_connection_that_nobody_answers_is_given_up_in_time(
        self, db: Connection, space: Space, measured: Callable[[str, float], None]
    ) -> None:
        """By a server that accepts the connection, as the kernel does for one that is frozen, and never says a word."""
        with socket.create_server(("127.0.0.1", 0)) as silent, unharmed(db):
            point = replace(space.target(), address="127.0.0.1", port=silent.getsockname()[1], others=())
            began = time.monotonic()
            with pytest.raises(OperationFailed, match="no answer while connecting") as late:
                Connection(point).run("SELECT 1", within_s=PATIENCE_S)
            took = time.monotonic() - began
        assert (late.value.error_class, late.value.outcome) == ("connect-deadline", "fail")
        assert took >= PATIENCE_S
        measured("connection_timeout_s", took)

    def test_a_statement_that_the_server_cancels_leaves_its_session(self, space: Space) -> None:
        """statement_timeout, as an application sees it: by a plain driver."""
        session = psycopg.connect(**space.target().parameters())
        try:
            with session.cursor() as cursor:
                cursor.execute("SET statement_timeout = '200ms'")
                cursor.execute("SELECT pg_backend_pid()")
                before = cursor.fetchone()
                session.commit()
                with pytest.raises(psycopg.Error, match="statement timeout") as cancelled:
                    cursor.execute("SELECT pg_sleep(5)")
                assert cancelled.value.sqlstate == CANCELLED
                session.rollback()
                cursor.execute("SELECT pg_backend_pid()")
                assert cursor.fetchone() == before
        finally:
            session.close()

    def test_an_unknown_role_is_refused(self, space: Space, connect: Callable[[Target], Connection]) -> None:
        stranger = replace(space.target(), user=f"{space.schema}_stranger", others=())
        with pytest.raises(OperationFailed) as refused:
            connect(stranger).run("SELECT 1", within_s=WITHIN_S)
        assert refused.value.error_class in ("connect-authentication", "connect-rejected"), refused.value
