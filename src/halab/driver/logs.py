"""The nodes' journals over a run's window, without the cluster's secrets."""

from __future__ import annotations

from pathlib import Path

from halab.driver.runner import PlayResult, Plays
from halab.inventory import Cluster
from halab.inventory.source import read_secrets

# Clocks of nodes and controller differ a little.
MARGIN_S = 5
COLLECTED_WITHIN_S = 120.0
HIDDEN = "(hidden)"
_SHORTEST = 6


def collect(plays: Plays, cluster: Cluster, folder: Path, *, since: float, until: float) -> PlayResult:
    """Write <folder>/<host>.log for every node that answers; `since` and `until` are Unix times."""
    folder.mkdir(exist_ok=True)
    window = {"logs_since": f"@{since - MARGIN_S:.0f}", "logs_until": f"@{until + MARGIN_S:.0f}"}
    result = plays.run("collect_logs", {"logs_dir": str(folder), **window}, within_s=COLLECTED_WITHIN_S)
    secrets = known_secrets(cluster)
    for path in folder.glob("*.log"):
        hide(path, secrets)
    return result


def known_secrets(cluster: Cluster) -> tuple[str, ...]:
    """Every password that the store or the inventory gives, longest first."""
    given = [
        cluster.patroni.superuser_password,
        cluster.patroni.rest_password,
        cluster.etcd.root_password,
        cluster.haproxy.stats_password if cluster.haproxy else "",
        cluster.redis.admin_password if cluster.redis else "",
        *(read_secrets(cluster.state_dir) or {}).values(),
    ]
    return tuple(sorted({secret for secret in given if len(secret) >= _SHORTEST}, key=len, reverse=True))


def hide(path: Path, secrets: tuple[str, ...]) -> None:
    """Replace every secret in a text file. Raises OSError."""
    text = path.read_text(encoding="utf-8", errors="replace")
    for secret in secrets:
        text = text.replace(secret, HIDDEN)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o644)
