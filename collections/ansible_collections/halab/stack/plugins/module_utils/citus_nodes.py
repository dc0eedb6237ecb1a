# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Citus database knows of its nodes, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.halab.stack.plugins.module_utils.psql import Psql

NODES = """
    SELECT groupid::text AS "group", nodename AS address, nodeport AS port, noderole::text AS role, isactive AS active,
           hasmetadata AS has_metadata, metadatasynced AS metadata_synced, shouldhaveshards AS takes_shards
      FROM pg_catalog.pg_dist_node ORDER BY groupid, noderole::text, nodename
"""
DEMOTED = "-demoted"
"""End of the address under which Patroni hides a primary while its group changes its leader."""

Node = Mapping[str, Any]


def nodes(psql: Psql) -> list[dict[str, Any]]:
    """Return the rows of pg_dist_node of this server. Raises SqlError."""
    return psql.rows(NODES)


def problems(found: Sequence[Node], leaders: Mapping[str, str | None]) -> Iterator[str]:
    """Say what keeps `found` from naming the leader of each group as its one primary.

    `leaders` has the address of each group's leader, None where it need not be a certain one.
    """
    for group, leader in leaders.items():
        primaries = [node for node in found if node["group"] == group and node["role"] == "primary"]
        if len(primaries) != 1:
            yield f"group {group} has {len(primaries)} primaries in pg_dist_node"
        for node in primaries:
            where = f"group {group}: its primary {node['address']}:{node['port']}"
            if node["address"].endswith(DEMOTED):
                yield f"{where} is hidden, because its leader changes"
            elif leader is not None and node["address"] != leader:
                yield f"{where} is not its leader, which is at {leader}"
            if not node["active"]:
                yield f"{where} is not active"
            if not node["metadata_synced"]:
                yield f"{where} does not have the metadata of the others"
    strangers = sorted({node["group"] for node in found} - set(leaders), key=int)
    if strangers:
        yield f"pg_dist_node has group(s) {', '.join(strangers)}, which are not declared"
