"""`halab check` and what reads its verdicts: nobody is told of a pass that is none."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tests.unit.cli.conftest import Halab


def errors(folder: Path) -> tuple[str | None, str | None]:
    suite = ET.parse(folder / "junit.xml").getroot().find("testsuite")
    assert suite is not None
    return suite.get("tests"), suite.get("errors")


@pytest.mark.parametrize("damage", ["garbage", "removed", "settings"])
def test_a_judgement_that_fails_ends_an_earlier_pass_everywhere(halab: Halab, judged: Path, damage: str) -> None:
    done = halab("check", "simulated")
    assert (done.returncode, errors(judged)) == (0, ("4", "0")), done.stderr
    if damage == "garbage":
        path = judged / "history.jsonl"
        path.write_bytes(path.read_bytes().replace(b'"op":17', b'"op":x', 1))
    elif damage == "removed":
        (judged / "history.jsonl").unlink()
    else:
        (judged / "run.json").write_text(json.dumps({"ended": "x", "run": "simulated/20261121T101500Z"}))
    done = halab("check", "simulated")
    assert (done.returncode, errors(judged)) == (2, ("4", "4"))
    assert "Traceback" not in done.stderr
    reason = done.stderr.removeprefix("halab: ").splitlines()[0]
    assert reason.split(": ")[1] in (judged / "junit.xml").read_text()
    verdicts = json.loads((judged / "verdicts.json").read_text())
    assert {verdicts["status"], *(promise["verdict"] for promise in verdicts["promises"])} == {"UNKNOWN"}
    assert re.search(r"simulated/20261121T101500Z .* UNKNOWN$", halab("list").stdout, re.MULTILINE)
    (judged / "junit.xml").unlink()
    assert halab("report", "simulated").returncode == 0
    assert errors(judged) == ("4", "4")
    assert "could not be judged" in (judged / "report.html").read_text()
