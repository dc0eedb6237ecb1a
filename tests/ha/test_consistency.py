"""Every workload at once through a failover, judged by its own promise (X2 A2 A3 B21-B23 E4), and load alone (E2)."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.ha.test_drill import halab, promises, run_folder

from halab.history import read_history
from halab.workloads import catalogue

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.timeout(660)]


@pytest.mark.destructive
def test_every_workload_keeps_its_promise_through_a_failover(inventory: Path) -> None:
    done = halab("chaos", "consistency", "-i", str(inventory))
    run = run_folder("consistency")
    kept = promises(run)
    assert {name: item["verdict"] for name, item in kept.items()} == dict.fromkeys(kept, "VALID"), (
        done.stdout + done.stderr
    )
    assert done.returncode == 0
    assert set(catalogue.NAMES) <= set(kept)
    history = read_history(run / "history.jsonl")
    for name, operations in history.workloads.items():
        commits = [
            operation.complete
            for operation in operations
            if operation.outcome == "ok"
            and operation.complete
            and operation.invoke.f in catalogue.workload(name).writes
        ]
        assert all(answer.lsn and answer.server and answer.pid for answer in commits), f"{name}: without provenance"
        if commits:
            assert len({answer.timeline for answer in commits}) == 2, f"{name}: the failover is not in its answers"


def test_load_alone_tells_throughput_and_latencies(inventory: Path) -> None:
    done = halab(
        "load", "rows", "bank", "-i", str(inventory), "--concurrent-users", "6", "--duration", "5s", "--rate", "20"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    table = {
        line.split("  ")[0]: line.split() for line in done.stdout.splitlines() if line.startswith(("append", "bank"))
    }
    assert {"append", "bank transfer", "bank read"} <= set(table)
    assert float(table["append"][4]) > 20
    assert set(promises(run_folder("load"))) == {"lost_writes", "rows_equal", "bank"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("bnak",), "Is `bank` meant?"),
        (("bank", "--set", "bank.accounts=1"), "workloads.bank.accounts = 1"),
        (("bank", "--set", "accounts"), "bank.accounts=20"),
        (("--duration", "soon"), "is not a duration"),
    ],
)
def test_a_load_that_makes_no_sense_is_refused(inventory: Path, arguments: tuple[str, ...], words: str) -> None:
    done = halab("load", *arguments, "-i", str(inventory))
    assert done.returncode == 3, done.stdout + done.stderr
    assert words in done.stderr
