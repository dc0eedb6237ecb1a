"""What module heal tells of faults that healed before anybody asked."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils.clock import Stamp
from ansible_collections.halab.faults.plugins.module_utils.healing import heal, healed_before
from ansible_collections.halab.faults.plugins.module_utils.ledger import Entry, Ledger


def healed_by_guardian(ledger: Ledger, entry_id: str, run: str) -> None:
    now = Stamp.now()
    entry = Entry(
        id=entry_id, fault="process", target="etcd", created=now, expires=now.later(5), undo=(("true",),), gone=(),
        gone_within_s=1, run=run,
    )  # fmt: skip
    ledger.write(entry)
    assert heal(ledger, entry_id, by="guardian").problem == ""


def test_a_run_is_told_what_guardians_healed_and_nothing_of_other_runs(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    healed_by_guardian(ledger, "a-1", "drill/1")
    healed_by_guardian(ledger, "a-2", "drill/1")
    healed_by_guardian(ledger, "b-1", "drill/2")
    found = {healing.id: healing for healing in healed_before(ledger, run="drill/1")}
    assert set(found) == {"a-1", "a-2"}
    assert found["a-1"].healed_by == "guardian"
    assert not found["a-1"].changed
    assert found["a-1"].healed_at and found["a-1"].gone_at
    assert [healing.run for healing in healed_before(ledger, entry_id="b-1")] == ["drill/2"]
    assert healed_before(ledger, entry_id="c-1") == []


def test_a_journal_of_an_older_version_has_no_runs(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    healed_by_guardian(ledger, "a-1", "drill/1")
    journal = tmp_path / ".journal"
    journal.write_text(journal.read_text().replace('"run": "drill/1", ', ""))
    assert healed_before(ledger, run="drill/1") == []
    assert [healing.id for healing in healed_before(ledger, entry_id="a-1")] == ["a-1"]
