"""Excerpts of logs: the lines that matter, few enough, tied to the axis."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from tests.unit.report import sample

from halab.report import logs
from halab.report.recording import Recording

TIED = Recording(anchor=(sample.at(0), sample.STARTED), phases={"load-start": sample.at(0)})


def written(run: Path, name: str, lines: list[str]) -> None:
    (run / "logs").mkdir(exist_ok=True)
    (run / "logs" / name).write_text("".join(f"{line}\n" for line in lines))


def journal(second: float) -> str:
    """A time as `journalctl --output=short-iso-precise --utc` writes it."""
    return (sample.STARTED + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.%f+0000")


def test_lines_around_the_fault_are_kept_mostly_those_after_it(tmp_path: Path) -> None:
    written(tmp_path, "pg1.log", [f"{journal(n / 10)} line {n}" for n in range(5000)])
    [found] = logs.excerpts(tmp_path, TIED, 200.0)
    assert (found.node, found.total, len(found.lines)) == ("pg1", 5000, 300)
    assert found.lines[0].at == pytest.approx(190.0)
    assert found.lines[-1].at == pytest.approx(219.9)


def test_a_promotion_long_after_the_fault_is_kept(tmp_path: Path) -> None:
    lines = [f"{journal(n / 10)} line {n}" for n in range(5000)]
    lines[4500] += " promoted self to leader"
    written(tmp_path, "pg1.log", lines)
    [found] = logs.excerpts(tmp_path, TIED, 200.0)
    assert found.lines[-1].text.endswith("promoted self to leader")
    assert len(found.lines) == 300


def test_a_log_that_ends_at_the_fault_shows_what_led_to_it(tmp_path: Path) -> None:
    written(tmp_path, "pg1.log", [f"{journal(n / 10)} line {n}" for n in range(2010)])
    [found] = logs.excerpts(tmp_path, TIED, 200.0)
    assert len(found.lines) == 300
    assert found.lines[-1].text.endswith("line 2009")


@pytest.mark.parametrize("around", [None, 5.0])
def test_without_times_the_last_lines_are_kept(tmp_path: Path, around: float | None) -> None:
    written(tmp_path, "pg1.log", [f"line {n}" for n in range(1000)])
    [found] = logs.excerpts(tmp_path, TIED, around)
    assert found.lines[-1].text == "line 999"
    assert found.lines[-1].at is None


@pytest.mark.parametrize(
    "stamp", ["2026-11-21T10:15:07.250000+0000", "2026-11-21 10:15:07.250 UTC", "2026-11-21T11:15:07,250+01:00"]
)
def test_times_of_the_usual_forms_are_tied_to_the_axis(tmp_path: Path, stamp: str) -> None:
    written(tmp_path, "pg1.log", [f"{stamp} patroni[1]: x"])
    [found] = logs.excerpts(tmp_path, TIED, None)
    assert found.lines[0].at == pytest.approx(7.25)


@pytest.mark.parametrize(
    ("text", "mark"),
    [
        ("FATAL: the database system is starting up", "trouble"),
        ("promoted self to leader by acquiring session lock", "change"),
        ("Keepalived_vrrp: (main) Entering MASTER STATE", "change"),
        ("no action. I am (pg1), a secondary", ""),
        ("Caching the disconnected master state.", ""),
    ],
)
def test_trouble_and_changes_of_role_are_marked(tmp_path: Path, text: str, mark: str) -> None:
    written(tmp_path, "pg1.log", [text])
    [found] = logs.excerpts(tmp_path, TIED, None)
    assert found.lines[0].mark == mark


def test_many_nodes_share_one_bounded_page(tmp_path: Path) -> None:
    for number in range(30):
        written(tmp_path, f"node{number:02}.log", ["x" * 5000] * 500)
    found = logs.excerpts(tmp_path, TIED, None)
    assert all(excerpt.lines for excerpt in found)
    assert sum(len(line.text) for excerpt in found for line in excerpt.lines) < 700_000


def test_a_node_without_lines_is_still_listed(tmp_path: Path) -> None:
    written(tmp_path, "pg1.log", [])
    [found] = logs.excerpts(tmp_path, TIED, 3.0)
    assert (found.total, found.lines) == (0, ())
