"""How fast a fault of each family acts, is proven and is gone again, and how exact an impaired link is.

Each is carried out by its playbook, as a user does it by hand, on a replica of a healthy cluster.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from halab.bench.failover import LOOK_WITHIN_S
from halab.bench.plays import BenchError
from halab.clients.http import client_context
from halab.clients.patroni import PatroniEndpoint
from halab.driver.runner import Plays
from halab.inventory import Cluster, load
from halab.waiting import eventually

CALM_WITHIN_S = 60.0
# Name, playbook and parameters; what is safe to do again and again to a replica.
FAULTS: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("process: Patroni stopped", "process", {"fault_process": "patroni", "fault_kind": "stop"}),
    ("service: Redis stopped", "service", {"fault_unit": "redis-server.service", "fault_kind": "stop"}),
    ("partition: all others", "partition", {"fault_peers": "others"}),
    ("link: 50 ms", "link", {"fault_peers": "others", "fault_delay_ms": 50}),
    ("disk: full", "disk", {"fault_kind": "full", "fault_area": "data"}),
    ("disk: syncs of etcd 100 ms late", "disk", {"fault_kind": "sync_delay", "fault_unit": "etcd.service",
                                                "fault_delay_ms": 100}),
    ("pressure: a core burnt", "pressure", {"fault_kind": "cpu_burn", "fault_workers": 1}),
    ("config: a file", "config", {"fault_path": "/etc/motd", "fault_append": "fault"}),
    ("freeze", "freeze", {}),
    ("limits: 50 % of a core", "limits", {"fault_cpu": 50}),
)  # fmt: skip
LINKS: tuple[Mapping[str, float], ...] = (
    {"delay_ms": 10},
    {"delay_ms": 50},
    {"delay_ms": 25, "jitter_ms": 5},
    {"loss": 20},
    {"duplicate": 20},
    {"rate_kbit": 1000},
)


@dataclass(frozen=True, slots=True)
class Injection:
    """Medians over the runs of a fault, in seconds.

    `request` is from the playbook's start to the effect, `act` from the first command to the last, `prove` until the
    effect was observed, `gone` from the heal until its absence was; `whole` is the playbook's.
    """

    name: str
    runs: int
    request_s: float
    act_s: float
    prove_s: float
    gone_s: float
    whole_s: float


@dataclass(frozen=True, slots=True)
class Accuracy:
    """What a link was asked for, by which mechanism it was made, and what was measured, in words."""

    asked: str
    mechanism: str
    measured: str


def injections(root: Path, inventory: Path, *, runs: int) -> Iterator[Injection]:
    """Each fault, `runs` times. Raises BenchError when one fails."""
    cluster = load(inventory)
    for name, playbook, parameters in FAULTS:
        steps = [_timed(root, cluster, playbook, parameters) for _ in range(runs)]
        yield Injection(name, runs, *(median(values) for values in zip(*steps, strict=True)))


def accuracy(root: Path, inventory: Path) -> Iterator[Accuracy]:
    """Each link once, as the module measures it when it acts. Raises BenchError when one fails."""
    cluster = load(inventory)
    for asked in LINKS:
        options = {f"fault_{key}": value for key, value in asked.items()}
        found, _began, _whole = _play(root, cluster, "link", {"fault_peers": "others", **options})
        achieved = next(result["achieved"] for result in found if "achieved" in result)
        words = [
            f"{way}: " + ", ".join(f"{key} {value}" for key, value in sorted(seen.items()) if value)
            for peer in achieved["peers"].values()
            for way, seen in sorted(peer.items())
            if way in ("in", "out")
        ]
        told = ", ".join(f"{key} {value:g}" for key, value in asked.items())
        yield Accuracy(told, achieved["mechanism"], words[0] if words else "-")


def _timed(root: Path, cluster: Cluster, playbook: str, parameters: Mapping[str, Any]) -> tuple[float, ...]:
    found, began, whole_s = _play(root, cluster, playbook, parameters)
    told = {key: result[key]["monotonic_ns"] / 1e9 for result in found for key in _STEPS if result.get(key)}
    missing = [key for key in _STEPS if key not in told]
    if missing:
        raise BenchError(f"faults/{playbook}: its results do not tell {', '.join(missing)}")
    return (
        told["injected_at"] - began,
        told["injected_at"] - told["planned_at"],
        told["observed_at"] - told["injected_at"],
        told["gone_at"] - told["healed_at"],
        whole_s,
    )


_STEPS = ("planned_at", "injected_at", "observed_at", "healed_at", "gone_at")


def _play(
    root: Path, cluster: Cluster, playbook: str, parameters: Mapping[str, Any]
) -> tuple[list[Mapping[str, Any]], float, float]:
    """Results of the fault's tasks, the playbook's start on CLOCK_MONOTONIC and its whole time, in seconds."""
    target = str(eventually(lambda: _replica(cluster), within_s=CALM_WITHIN_S, what="a replica that streams"))
    found: list[Mapping[str, Any]] = []
    options = {"fault_target": target, "fault_hold": 0, "fault_ttl": 60, **parameters}
    with tempfile.TemporaryDirectory(prefix="halab-bench-") as logs:
        plays = Plays(root=root, inventory=cluster.inventory, logs=Path(logs), extra_vars={})
        began = time.monotonic()
        result = plays.run(f"faults/{playbook}", options, on_event=lambda event: found.append(event.result))
        whole_s = time.monotonic() - began
    if not result.ok:
        raise BenchError(f"faults/{playbook} on {target}: {'; '.join(result.problems)}")
    return found, began, whole_s


def _replica(cluster: Cluster) -> str:
    """Name of a replica that streams; empty when there is none."""
    context = client_context(cluster.tls)
    for member in cluster.patroni.members:
        endpoint = PatroniEndpoint(member, context)
        try:
            status = endpoint.status(within_s=LOOK_WITHIN_S)
        finally:
            endpoint.close()
        if status.role == "replica" and status.state == "streaming":
            return member.name
    return ""
