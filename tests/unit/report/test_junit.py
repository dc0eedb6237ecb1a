"""junit.xml: what continuous integration must see, above all that UNKNOWN is no pass."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from tests.unit.report import sample

from halab.report import junit


def suite_of(run: Path) -> ET.Element:
    path = junit.write(run)
    assert path == run / "junit.xml"
    suite = ET.parse(path).getroot().find("testsuite")
    assert suite is not None
    return suite


def test_one_test_case_per_promise(run: Path) -> None:
    cases = suite_of(run).findall("testcase")
    assert [case.get("name") for case in cases] == [promise["name"] for promise in sample.PROMISES]


@pytest.mark.parametrize(
    ("name", "tag"),
    [("write_outage", "system-out"), ("lost_writes", "failure"), ("fault_gone", "error")],
)
def test_broken_is_a_failure_and_not_proven_an_error(run: Path, name: str, tag: str) -> None:
    case = suite_of(run).find(f"testcase[@name='{name}']")
    assert case is not None
    assert [child.tag for child in case] == [tag]
    witness = next(promise["witness"] for promise in sample.PROMISES if promise["name"] == name)
    assert witness in (case[0].text or "")


def test_counts_are_those_of_the_cases(run: Path) -> None:
    suite = suite_of(run)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("5", "1", "1")
    assert (suite.get("name"), suite.get("time")) == ("halab.primary-failure", "87.000")


def test_measured_values_are_properties(run: Path) -> None:
    properties = {one.get("name"): one.get("value") for one in suite_of(run).iter("property")}
    assert properties["rto_s"] == "17.24"
    assert properties["rpo_writes"] == "2"
    assert properties["operations_ok"] == "96.31"
    assert properties["status"] == "INVALID"


def test_a_run_that_was_not_judged_is_an_error(run: Path) -> None:
    (run / "verdicts.json").unlink()
    suite = suite_of(run)
    assert (suite.get("tests"), suite.get("errors")) == ("1", "1")
    error = suite.find("testcase[@name='judged']/error")
    assert error is not None
    assert "verdicts.json is missing" in (error.get("message") or "")


def test_why_a_run_could_not_be_judged_is_its_error(run: Path) -> None:
    failed = {"run": "x/1", "status": "UNKNOWN", "exit_code": 2, "error": "line 3 is no record", "promises": []}
    (run / "verdicts.json").write_text(json.dumps(failed))
    error = suite_of(run).find("testcase[@name='judged']/error")
    assert error is not None
    assert "could not be judged: line 3 is no record" in (error.get("message") or "")


def test_text_that_xml_cannot_hold_does_not_break_the_file(run: Path) -> None:
    document = json.loads((run / "verdicts.json").read_text())
    document["promises"][1]["witness"] = "a\x00b\x1b[31m<&>\ud800 c"
    (run / "verdicts.json").write_text(json.dumps(document))
    failure = suite_of(run).find("testcase/failure")
    assert failure is not None
    assert failure.get("message") == "a\ufffdb\ufffd[31m<&>\ufffd c"
