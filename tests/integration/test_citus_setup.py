"""Citus is set up: extension, workers, tables over the workers, tables on every node (B6), and metadata to match."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.integration.support.citus import CONNINFO, METADATA, NODES, WITHIN_S, Citus
from tests.integration.support.citus_tables import SHARDS, VERSION, Shop

from halab.clients.postgres import Connection

pytest_plugins = ("tests.integration.citus_support",)
pytestmark = [pytest.mark.live, pytest.mark.citus]

KINDS = "SELECT table_name::text, citus_table_type, shard_count FROM public.citus_tables ORDER BY 1"


class TestSetUp:
    def test_every_node_has_the_extension_in_the_same_version(
        self, citus: Citus, record_property: Callable[[str, object], None]
    ) -> None:
        versions = citus.ask_all(VERSION)
        assert len(versions) == len(citus.cluster.patroni.groups)
        assert len({tuple(rows) for rows in versions.values()}) == 1, versions
        [(version,)] = next(iter(versions.values()))
        record_property("citus_version", version)
        assert int(version.split(".")[0]) >= 13

    def test_every_group_of_workers_is_active_and_known_by_its_leader(self, citus: Citus) -> None:
        rows = citus.ask(NODES)
        for group in citus.workers:
            leader = citus.primary(group)
            named = [row[1:3] for row in rows if row[0] == group and row[3] == "primary"]
            assert named == [(leader.host.address, leader.postgresql_port)]
        primaries = [row for row in rows if row[3] == "primary"]
        assert all(active and synced for *_, active, synced in primaries), primaries
        assert {name for (name, _) in citus.ask("SELECT * FROM citus_get_active_worker_nodes()")} == {
            citus.primary(group).host.address for group in citus.workers
        }

    def test_replicas_are_known_as_such(self, citus: Citus) -> None:
        """Patroni registers them, so that a failover of Citus needs no change of configuration."""
        rows = citus.ask(NODES)
        for group in citus.cluster.patroni.groups:
            replicas = {one.host.address for one in citus.members(group)} - {citus.primary(group).host.address}
            assert {row[1] for row in rows if row[0] == group and row[3] == "secondary"} == replicas

    def test_all_nodes_have_the_same_metadata(self, citus: Citus, shop: Shop) -> None:
        citus.require_settled()
        seen = citus.ask_all(METADATA["pg_dist_partition"])
        for name, rows in seen.items():
            assert {table for table, *_ in rows} >= {shop.customers, shop.orders, shop.countries}, name

    def test_distributed_tables_exist(self, app: Connection, shop: Shop) -> None:
        kinds = {name: (kind, shards) for name, kind, shards in app.run(KINDS, within_s=WITHIN_S)}
        assert kinds[shop.customers] == ("distributed", SHARDS)
        assert kinds[shop.orders] == ("distributed", SHARDS)

    def test_reference_tables_exist(self, app: Connection, shop: Shop) -> None:
        kinds = {name: (kind, shards) for name, kind, shards in app.run(KINDS, within_s=WITHIN_S)}
        assert kinds[shop.countries] == ("reference", 1)

    def test_what_transactions_and_moves_of_shards_need_is_configured(self, citus: Citus) -> None:
        for name, [(prepared, level, library, stalled)] in citus.ask_all(
            "SELECT current_setting('max_prepared_transactions')::int, current_setting('wal_level'),"
            " current_setting('shared_preload_libraries'), current_setting('citus.logical_replication_timeout')"
        ).items():
            if citus.cluster.owned:
                assert stalled == "10min", f"{name}: a move that stands still would hold its locks for {stalled}"
            assert (prepared > 0, level) == (True, "logical"), name
            assert library.split(",")[0].strip() == "citus", f"{name}: citus has to come first in {library}"

    def test_nodes_verify_whom_they_connect_to(self, citus: Citus) -> None:
        for name, [(conninfo,)] in citus.ask_all(CONNINFO).items():
            if not citus.cluster.owned and "sslmode=verify-full" not in conninfo:
                pytest.skip(f"nodes of this cluster do not verify names: citus.node_conninfo of {name} is {conninfo!r}")
            assert "sslmode=verify-full" in conninfo, name
            assert "sslrootcert=" in conninfo, name
