"""A series of drills: what each row says, and that one drill's trouble is not the next one's."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from halab.driver import drills
from halab.driver.drill import Outcome
from halab.driver.prepare import Request, Unsupported
from halab.driver.progress import PlainProgress
from halab.errors import HalabError
from halab.report import drills as report
from halab.report.drills import Row

VERDICTS: dict[str, Any] = {
    "run": "x/1",
    "status": "INVALID",
    "exit_code": 1,
    "promises": [
        {"name": "write_outage", "title": "", "verdict": "VALID", "measured": 12.5, "unit": "s", "comparison": "<",
         "threshold": 30, "witness": "", "details": {}},
        {"name": "lost_writes", "title": "", "verdict": "INVALID", "measured": 3, "unit": "rows", "comparison": "<=",
         "threshold": 0, "witness": "3 acknowledged writes are absent", "details": {}},
    ],
}  # fmt: skip
REQUEST = Request("inventories/test", "", "halab drills")


@dataclass
class Drills:
    """What each scenario comes to, in the place of the real thing."""

    outcomes: dict[str, Callable[[], Outcome]]

    def __call__(self, request: Request, _progress: object) -> Outcome:
        return self.outcomes[request.scenario]()


def outcome(folder: Path, status: str, code: int, verdicts: dict[str, Any] | None = None) -> Callable[[], Outcome]:
    def carry_out() -> Outcome:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "verdicts.json").write_text(json.dumps(verdicts or {**VERDICTS, "status": status, "promises": []}))
        return Outcome(folder, "x/1", status, code, ())

    return carry_out


def refuse(error: HalabError) -> Callable[[], Outcome]:
    def carry_out() -> Outcome:
        raise error

    return carry_out


def run(monkeypatch: pytest.MonkeyPatch, **outcomes: Callable[[], Outcome]) -> tuple[list[Row], int]:
    monkeypatch.setattr(drills, "drill", Drills(outcomes))
    return drills.run_all(REQUEST, list(outcomes), PlainProgress(lambda _text: None), told=lambda _row: None)


def test_every_outcome_has_its_row_and_the_worst_decides(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows, code = run(
        monkeypatch,
        kept=outcome(tmp_path / "a", "VALID", 0),
        broken=outcome(tmp_path / "b", "INVALID", 1, VERDICTS),
        unproven=outcome(tmp_path / "c", "UNKNOWN", 2),
        impossible=refuse(Unsupported("impossible", ["machine_limits is not set"])),
        failed=refuse(HalabError("playbook verify failed")),
    )
    assert [row.verdict for row in rows] == ["VALID", "INVALID", "UNKNOWN", "REFUSED", "FAILED"]
    assert (rows[1].outage_s, rows[1].lost) == (12.5, 3)
    assert rows[1].why == "lost_writes: 3 acknowledged writes are absent"
    assert rows[3].why == "machine_limits is not set"
    assert code == 1


@pytest.mark.parametrize(
    ("verdicts", "code"),
    [
        (["VALID", "REFUSED"], 0),
        (["VALID", "UNKNOWN"], 2),
        (["VALID", "FAILED"], 2),
        (["FAILED", "INVALID"], 1),
        (["REFUSED"], 3),
        ([], 3),
    ],
)
def test_exit_codes(verdicts: list[str], code: int) -> None:
    assert drills.exit_code([Row("x", verdict, 1) for verdict in verdicts]) == code


def test_an_interrupt_ends_the_series(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows, code = run(
        monkeypatch, first=outcome(tmp_path / "a", "UNKNOWN", 130), second=outcome(tmp_path / "b", "VALID", 0)
    )
    assert ([row.scenario for row in rows], code) == (["first"], 130)


def test_a_series_is_kept(tmp_path: Path) -> None:
    rows = [
        Row("primary-failure", "VALID", 90.2, outage_s=25.1, lost=0, run="primary-failure/1"),
        Row(
            "power-loss", "INVALID", 80, outage_s=20, lost=3, why="lost_writes:\n 3 are absent <&>", run="power-loss/1"
        ),
        Row("clock-skew", "REFUSED", 2, why="no libfaketime"),
    ]
    report.write(tmp_path, rows)
    text = (tmp_path / "summary.txt").read_text()
    lines = text.splitlines()
    assert lines[0].split() == ["SCENARIO", "VERDICT", "OUTAGE", "LOST", "TOOK"]
    assert lines[1].split() == ["primary-failure", "VALID", "25.1", "s", "0", "90", "s"]
    assert "    lost_writes: 3 are absent <&>" in lines
    assert lines[-1] == "3 drills: 1 INVALID, 1 REFUSED, 1 VALID, 172 s"
    suite = ET.parse(tmp_path / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    assert {key: suite.get(key) for key in ("tests", "failures", "errors", "skipped")} == {
        "tests": "3", "failures": "1", "errors": "0", "skipped": "1"
    }  # fmt: skip
    assert json.loads((tmp_path / "drills.json").read_text())[1]["lost"] == 3


def test_what_several_promises_share_is_told_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    thin = "Not proven: 3 writes were acknowledged. Measured nevertheless: "
    promises = [
        {**VERDICTS["promises"][0], "name": name, "verdict": "UNKNOWN", "witness": thin + name}
        for name in ("lag", "rows")
    ]
    verdicts = {**VERDICTS, "status": "UNKNOWN", "promises": promises}
    [row], _code = run(monkeypatch, thin=outcome(tmp_path / "a", "UNKNOWN", 2, verdicts))
    assert row.why == "lag, rows: Not proven: 3 writes were acknowledged"
