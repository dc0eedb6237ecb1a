"""The drill, run by the command that a person uses: the leader dies, every promise is kept (A1-A4, B15, D1)."""

from __future__ import annotations

import json
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
DRILL_WITHIN_S = 600

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.patroni, pytest.mark.timeout(DRILL_WITHIN_S + 60)]


def halab(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line of this environment."""
    return subprocess.run(
        [sys.executable, "-m", "halab", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=DRILL_WITHIN_S, check=False,
    )  # fmt: skip


def run_folder(scenario: str) -> Path:
    """The newest run of a scenario."""
    return max(path for path in (ROOT / "runs" / scenario).iterdir() if path.is_dir())


def promises(run: Path) -> dict[str, dict[str, Any]]:
    """Verdicts of a run by promise."""
    return {item["name"]: item for item in json.loads((run / "verdicts.json").read_text())["promises"]}


@pytest.mark.destructive
def test_primary_failure_keeps_every_promise(inventory: Path, record_property: Any) -> None:
    done = halab("chaos", "primary-failure", "-i", str(inventory))
    assert done.returncode == 0, done.stdout + done.stderr
    run = run_folder("primary-failure")
    kept = promises(run)
    assert {item["verdict"] for item in kept.values()} == {"VALID"}, kept
    assert kept["lost_writes"]["measured"] == 0
    assert 0 < kept["write_outage"]["measured"] < 30
    record_property("write_outage_s", kept["write_outage"]["measured"])
    for name in ("history.jsonl", "events.jsonl", "run.json", "verdicts.json", "junit.xml", "report.html"):
        assert (run / name).stat().st_size > 0, name
    assert list((run / "logs").glob("*.log")), "no node's log was kept"
    assert len(ET.parse(run / "junit.xml").getroot().findall(".//testcase")) == len(kept)


@pytest.mark.destructive
def test_a_run_can_be_judged_again_without_the_cluster(inventory: Path) -> None:
    run = run_folder("primary-failure")
    before = promises(run)
    done = halab("check", str(run))
    assert done.returncode == 0, done.stdout + done.stderr
    assert promises(run) == before


@pytest.mark.destructive
def test_a_tampered_history_is_not_believed(inventory: Path, tmp_path: Path) -> None:
    """The verdict comes from the record: take an acknowledged row out of the final reads and it must be missed."""
    source = run_folder("primary-failure")
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text((source / "run.json").read_text())
    lines = []
    for line in (source / "history.jsonl").read_text().splitlines():
        record = json.loads(line)
        if record["kind"] == "final":
            first, last = record["ids"][0]
            record["ids"][0] = [first + 1, last]
            record["count"] -= 1
        lines.append(json.dumps(record))
    (run / "history.jsonl").write_text("\n".join(lines) + "\n")
    done = halab("check", str(run))
    assert done.returncode == 1, done.stdout + done.stderr
    assert promises(run)["lost_writes"]["verdict"] == "INVALID"


@pytest.mark.destructive
def test_a_switchover_is_graceful(inventory: Path) -> None:
    done = halab("chaos", "switchover", "-i", str(inventory))
    assert done.returncode == 0, done.stdout + done.stderr
    assert promises(run_folder("switchover"))["lost_writes"]["measured"] == 0


def test_health_touches_nothing(inventory: Path) -> None:
    done = halab("chaos", "health", "-i", str(inventory))
    assert done.returncode == 0, done.stdout + done.stderr
