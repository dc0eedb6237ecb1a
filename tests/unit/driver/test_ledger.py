"""Leftover faults in words: whose they are, and what to do about an entry that cannot be read."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.scenario.clusters import LAB

from halab.driver import ledger
from halab.inventory import Cluster

ENTRY: dict[str, Any] = {
    "id": "drill-1", "fault": "power", "target": "pg1", "run": "drill/1", "expires": {"wall": "2026-11-21T10:16:00Z"},
}  # fmt: skip


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    (tmp_path / "ledger").mkdir()
    return replace(LAB, state_dir=tmp_path)


def test_an_entry_says_what_may_act_and_when_it_ends(cluster: Cluster) -> None:
    (ledger.folder(cluster) / "drill-1.json").write_text(json.dumps(ENTRY))
    [found] = ledger.leftovers(cluster)
    assert str(found) == (
        "fault drill-1 of run drill/1 (power on pg1) is in the ledger; it heals itself at 2026-11-21T10:16:00Z"
    )


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": "drill-1"}'])
def test_an_entry_that_cannot_be_read_is_told_with_its_file(cluster: Cluster, text: str) -> None:
    path = ledger.folder(cluster) / "drill-1.json"
    path.write_text(text)
    [found] = ledger.leftovers(cluster)
    assert found.id == "drill-1"
    assert str(found).startswith(f"an entry in the ledger cannot be read: {path}: ")
    assert str(found).endswith("Make sure that its fault is gone, then remove the file.")


def test_what_a_machine_tells_names_the_machine() -> None:
    torn = "/var/lib/halab/ledger/x-2.json: is not a ledger entry. Remove the file."
    whole, unreadable = ledger.of_machine("pg2", {"entries": [ENTRY], "unreadable": [torn]})
    assert "is in the ledger of pg2; it heals itself at" in str(whole)
    assert (unreadable.id, str(unreadable)) == ("x-2", f"an entry in the ledger of pg2 cannot be read: {torn}")
