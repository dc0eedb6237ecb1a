"""The threads that look at nodes: none ends unnoticed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from halab import inventory
from halab.history import Observation, Record
from halab.observe import Observers, View
from halab.waiting import eventually


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_an_observer_that_breaks_ends_the_run(postgres, tmp_path: Path):
    """The others go on meanwhile: what they see is recorded until the run has ended."""
    reasons: list[str] = []
    seen: list[Record] = []

    def broken(record: Record) -> None:
        if isinstance(record, Observation) and record.source == "sql" and len(seen) > 2:
            raise ValueError("no such thing")
        seen.append(record)

    cluster = inventory.load(str(postgres.inventory(tmp_path)))
    observers = Observers(cluster, application="x", record=broken, view=View(), failed=reasons.append)
    observers.start()
    eventually(lambda: reasons, within_s=10, what="the end of an observer")
    before = len(seen)
    eventually(lambda: len(seen) > before, within_s=10, what="another look")
    observers.stop()
    assert reasons == ["an observer broke, a defect of halab: ValueError: no such thing"]
    assert not [each for each in threading.enumerate() if each.name.startswith("observe-")]
