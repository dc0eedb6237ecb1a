"""Similarity search on a real server, judged; needs pgvector, which the machine's PostgreSQL may not have."""

from __future__ import annotations

import pytest
from tests.unit.workloads.single import schema_of_the_load

from halab.verdict import Status
from halab.waiting import eventually
from halab.workloads.vectors import DIMENSIONS, embedding


@pytest.fixture
def pgvector(postgres):
    connection = postgres.connection()
    [(version,)] = connection.run("SHOW server_version_num", within_s=5)
    found = connection.run("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'", within_s=5)
    connection.close()
    if not found:
        major = int(version) // 10_000
        pytest.skip(f"the extension vector is not installed: apt-get install postgresql-{major}-pgvector")


@pytest.mark.usefixtures("pgvector")
def test_rows_are_found_next_to_themselves(run, postgres):
    ran = run("vectors", operations=120)
    verdict = ran.verdict()
    assert verdict.status is Status.VALID, verdict.witness
    assert ran.count("insert") > 100
    assert ran.count("search") > 200
    assert all(o.complete.timeline == 1 and o.complete.lsn for o in ran.history.workloads["vectors"])
    connection = postgres.connection()
    assert connection.run("SELECT 1 FROM pg_extension WHERE extname = 'vector'", within_s=5) == []
    connection.close()


@pytest.mark.usefixtures("pgvector")
def test_an_extension_that_was_there_stays(run, postgres):
    connection = postgres.connection()
    connection.run("CREATE SCHEMA theirs", within_s=5)
    connection.run("CREATE EXTENSION vector SCHEMA theirs", within_s=10)
    try:
        assert run("vectors", operations=40).verdict().status is Status.VALID
        assert connection.run("SELECT 1 FROM pg_extension WHERE extname = 'vector'", within_s=5)
    finally:
        connection.run("DROP SCHEMA theirs CASCADE", within_s=10)
        connection.close()


@pytest.mark.usefixtures("pgvector")
@pytest.mark.parametrize(
    ("change", "anomaly"),
    [
        ("DELETE FROM {0}.vectors WHERE id IN (SELECT id FROM {0}.vectors LIMIT 20)", "lost"),
        (
            "UPDATE {0}.vectors SET embedding = (SELECT embedding FROM {0}.vectors ORDER BY id LIMIT 1)",
            "wrong-distance",
        ),
    ],
)
def test_what_is_changed_behind_the_clients_back_is_found(run, postgres, change, anomaly):
    def tamper() -> None:
        connection = postgres.connection()
        schema = schema_of_the_load(connection)
        count = f"SELECT count(*) FROM {schema}.vectors"
        eventually(
            lambda: connection.run(count, within_s=5)[0][0], within_s=10, what="40 rows", every_s=0.01,
            accept=lambda rows: rows >= 40,
        )  # fmt: skip
        path = "SELECT set_config('search_path', nspname, false) FROM pg_extension e, pg_namespace n"
        connection.run(f"{path} WHERE extname = 'vector' AND n.oid = extnamespace", within_s=5)
        connection.run(change.format(schema), within_s=5)
        connection.close()

    verdict = run("vectors", operations=200, during=tamper).verdict()
    assert verdict.status is Status.INVALID, verdict.witness
    assert anomaly in verdict.details["anomalies"]


def test_embeddings_are_the_same_everywhere_and_far_apart():
    from math import dist

    some = [embedding(1_000_000_000 + number) for number in range(200)]
    assert some[7] == embedding(1_000_000_007)
    assert {len(each) for each in some} == {DIMENSIONS}
    assert min(dist(a, b) for at, a in enumerate(some) for b in some[:at]) > 100
