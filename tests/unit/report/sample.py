"""Run folders made by hand: a failover of three nodes as a recorder would have written it, whole or cut short."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

STARTED = datetime(2026, 11, 21, 10, 15, 0, tzinfo=UTC)
EPOCH = 5_000_000_000_000
NODES = ("pg1", "pg2", "pg3")
DIGESTS = ("b1946ac92492d2347c6235b4d2611184", "591785b794601e212b260e25925636fd")
PROMISES: tuple[dict[str, Any], ...] = (
    {
        "name": "write_outage",
        "title": "Writes are back soon",
        "verdict": "VALID",
        "measured": 17.24,
        "unit": "s",
        "comparison": "<",
        "threshold": 30,
        "witness": "no write was acknowledged between 11.98 s (writer-3 on pg1) and 29.22 s (writer-5 on pg2)",
        "details": {
            "baseline_gap_s": 0.041,
            "split": {"detected": 14.1, "promoted": 2.4, "routed": 0.74},
            "faults": {
                "primary-failure-1": {
                    "outage_s": 17.24,
                    "from_s": 11.98,
                    "until_s": 29.22,
                    "resumed": True,
                    "detected": 14.1,
                    "promoted": 2.4,
                    "routed": 0.74,
                }
            },
        },
    },
    {
        "name": "lost_writes",
        "title": "No acknowledged write is lost",
        "verdict": "INVALID",
        "measured": 2,
        "unit": "writes",
        "comparison": "<=",
        "threshold": 0,
        "witness": "acknowledged by pg1 on timeline 1 and absent from every node: 3000117, 5000119",
        "details": {"lost": [3000117, 5000119], "acknowledged": 5211, "recovered": 3},
    },
    {
        "name": "single_primary",
        "title": "Never two primaries",
        "verdict": "VALID",
        "measured": 0,
        "unit": "writes",
        "comparison": "==",
        "threshold": 0,
        "witness": "after the first write acknowledged on timeline 2 none was acknowledged on an older one",
        "details": {},
    },
    {
        "name": "operations_ok",
        "title": "Operations that succeeded",
        "verdict": "VALID",
        "measured": 96.31,
        "unit": "%",
        "comparison": ">",
        "threshold": 95,
        "witness": "9,630 of 9,999 operations",
        "details": {},
    },
    {
        "name": "fault_gone",
        "title": "The fault is gone",
        "verdict": "UNKNOWN",
        "measured": None,
        "unit": "",
        "comparison": "",
        "threshold": None,
        "witness": "primary-failure-1 has no record 'gone': nobody looked",
        "details": {},
    },
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """How the made-up run went. Times in seconds of load."""

    length: float = 75.0
    down: float = 12.0
    promoted: float = 28.5
    routed: float = 29.2
    power_back: float = 52.0
    streaming: float = 58.0
    writers: int = 8
    rate: float = 10.0
    seed: int = 7


def write_run(path: Path, shape: Shape | None = None) -> Path:
    """A whole run folder."""
    shape = shape or Shape()
    path.mkdir(parents=True)
    (path / "run.json").write_text(json.dumps(run_document(path, shape)))
    (path / "verdicts.json").write_text(
        json.dumps({"run": "primary-failure/x", "status": "INVALID", "exit_code": 1, "promises": PROMISES})
    )
    write_history(path / "history.jsonl", shape)
    (path / "events.jsonl").write_text("{}\n")
    write_logs(path / "logs", shape)
    return path


def run_document(path: Path, shape: Shape) -> dict[str, Any]:
    hosts = [{"name": name, "address": f"10.90.0.1{i}", "groups": ["patroni"]} for i, name in enumerate(NODES)]
    hosts += [{"name": f"etcd{i}", "address": f"10.90.0.2{i}", "groups": ["etcd"]} for i in (1, 2, 3)]
    hosts += [{"name": f"lb{i}", "address": f"10.90.0.3{i}", "groups": ["haproxy"]} for i in (1, 2)]
    return {
        "run": f"primary-failure/{path.name}",
        "scenario": {
            "name": "primary-failure",
            "description": "The machine of the leader loses power under load and comes back.",
            "destructive": True,
            "workload": {"writers": 8, "write_rate": 10, "readers": 4, "read_rate": 10},
            "faults": [{"fault": "power", "target": "leader", "at": 0, "duration": 40, "parameters": {}}],
        },
        "inventory": "inventories/lab",
        "cluster": {"name": "lab", "hosts": hosts},
        "timing": {"profile": "default", "ttl": 20, "loop_wait": 5, "retry_timeout": 5},
        "synchronous_mode": "quorum",
        "versions": {"postgresql": "17.6", "patroni": "4.1.0", "etcd": "3.5.16", "haproxy": "3.0.11", "redis": "8.0.2"},
        "settings": {"ha_profile": "default", "max_connections": 100},
        "started": (STARTED - timedelta(seconds=4)).isoformat(),
        "ended": (STARTED + timedelta(seconds=shape.length + 8)).isoformat(),
        "command": "halab chaos primary-failure --inventory inventories/lab",
        "halab_version": "0.1.0",
    }


def write_history(path: Path, shape: Shape) -> Path:
    ordered = sorted(records(shape), key=lambda record: record["t"])
    with path.open("w") as file:
        file.writelines(json.dumps(record) + "\n" for record in ordered)
    return path


def records(shape: Shape) -> Iterator[dict[str, Any]]:
    """All records, in no order of time."""
    yield {
        "kind": "header", "version": 1, "run": "primary-failure/x", "t": at(-3), "wall": wall(-3), "host": "controller",
    }  # fmt: skip
    for name, when in (("load-start", 0.0), ("load-stop", shape.length), ("final-start", shape.length + 1)):
        yield {"kind": "phase", "t": at(when), "name": name}
    yield {"kind": "phase", "t": at(shape.length + 2.5), "name": "end"}
    yield from operations(shape)
    yield from faults(shape)
    yield from observations(shape)
    for index, node in enumerate(NODES):
        yield {
            "kind": "final", "t": at(shape.length + 2), "node": node, "role": "primary" if node == "pg2" else "replica",
            "timeline": 2, "lsn": "0/5A1C2E8", "count": 5211 - (index == 2), "digest": DIGESTS[index == 2],
            "ids": [[1, 500]], "lag_s": 0.02 * index, "error": None,
        }  # fmt: skip


def operations(shape: Shape) -> Iterator[dict[str, Any]]:
    chance = random.Random(shape.seed)  # noqa: S311 - made-up latencies
    op = 0
    for client in range(shape.writers + 4):
        endpoint = "write" if client < shape.writers else "read"
        when = chance.random() / shape.rate
        while when < shape.length:
            op += 1
            outcome, error, wait = _outcome(shape, endpoint, when, chance)
            server = "pg1" if when < shape.down else "pg2"
            yield {
                "kind": "invoke", "t": at(when), "op": op, "process": client, "client": f"{endpoint}r-{client}",
                "endpoint": endpoint, "f": "append" if endpoint == "write" else "read", "value": op,
            }  # fmt: skip
            yield {
                "kind": "complete", "t": at(when + wait), "op": op, "type": outcome, "error": error, "server": server,
                "value": op, "pid": 100 + client, "timeline": 1 if when < shape.down else 2, "lsn": "0/3000148",
            }  # fmt: skip
            when += max(1 / shape.rate, wait) * chance.uniform(0.9, 1.1)


def _outcome(shape: Shape, endpoint: str, when: float, chance: random.Random) -> tuple[str, str | None, float]:
    wait = chance.lognormvariate(-5.6, 0.35)
    if endpoint == "read":
        slow = shape.down <= when < shape.down + 2
        return ("ok", None, wait * 0.6) if not slow or chance.random() > 0.3 else ("info", "Timeout: read", 2.0)
    if when + wait < shape.down or when >= shape.routed:
        return "ok", None, wait
    if when < shape.down + 3:
        return "info", "Timeout: no answer within 3 s", 3.0
    return "fail", "OperationalError: connection refused", chance.lognormvariate(-6.5, 0.5)


def faults(shape: Shape) -> Iterator[dict[str, Any]]:
    times = {
        "planned": shape.down - 0.4, "injected": shape.down, "observed": shape.down + 0.6, "healed": shape.power_back,
        "gone": shape.power_back + 2.5,
    }  # fmt: skip
    for event, when in times.items():
        yield {
            "kind": "fault", "t": at(when), "id": "primary-failure-1", "fault": "power", "target": "pg1",
            "event": event, "detail": {},
        }  # fmt: skip


def observations(shape: Shape) -> Iterator[dict[str, Any]]:
    for node in NODES:
        for source in ("sql", "rest"):
            when = -2.5
            while when < shape.length + 2:
                seen = _database(shape, node, source, when)
                length = 0.01 if seen["ok"] else 0.4
                times = {"t": at(when), "t_end": at(when + length)}
                yield {"kind": "observe", **times, "node": node, "source": source, **seen}
                when += max(0.2, length)
    when = -2.5
    while when < shape.length + 2:
        for node in ("etcd1", "etcd2", "etcd3"):
            leads = node == ("etcd1" if when < shape.down + 1 else "etcd3")
            yield _observed(node, "etcd", when, "leader" if leads else "follower")
        for node in ("redis1", "redis2", "redis3"):
            yield _observed(node, "sentinel", when, "master" if node == "redis2" else "replica")
        when += 0.2


def _observed(node: str, source: str, when: float, role: str) -> dict[str, Any]:
    return {
        "kind": "observe", "t": at(when), "t_end": at(when + 0.005), "node": node, "source": source, "ok": True,
        "error": None, "role": role,
    }  # fmt: skip


def _database(shape: Shape, node: str, source: str, when: float) -> dict[str, Any]:
    if node == "pg1" and shape.down <= when < shape.power_back + 3:
        return {"ok": False, "error": "timeout: no answer within 0.4 s"}
    timeline = 1 if when < shape.promoted else 2
    # Patroni speaks of its promotion before PostgreSQL has ended recovery.
    taken_over = shape.promoted - (2.4 if source == "rest" else 0)
    primary = node == ("pg1" if when < taken_over else "pg2")
    state = "streaming"
    if node == "pg1" and shape.power_back <= when < shape.streaming:
        state = "starting"
    elif node == "pg3" and shape.down <= when < shape.promoted + 1:
        state = "in archive recovery"
    return {
        "ok": True, "error": None, "role": "primary" if primary else "replica", "timeline": timeline,
        "in_recovery": not primary, "writable": primary, "lsn": "0/3000148", "state": "running" if primary else state,
    }  # fmt: skip


def write_logs(path: Path, shape: Shape) -> None:
    path.mkdir(parents=True)
    for node in NODES:
        lines = []
        for step in range(900):
            when = -5 + step * (shape.length + 10) / 900
            text = f"INFO: no action. I am ({node}), a secondary, and following a leader (pg1)"
            if step == 400 and node == "pg2":
                text = "INFO: promoted self to leader by acquiring session lock"
            if step == 330:
                text = "LOG: could not receive data: <script>alert('x')</script> connection refused & closed"
            lines.append(f"{wall(when)} {node} patroni[311]: {text}")
        (path / f"{node}.log").write_text("\n".join(lines) + "\n")


def at(seconds: float) -> int:
    return EPOCH + round(seconds * 1e9)


def wall(seconds: float) -> str:
    return (STARTED + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
