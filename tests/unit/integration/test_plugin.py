"""What live tests measure is printed, kept or not, and in the JUnit file; without an inventory they are skipped."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

TESTS = """
import pytest
from halab.thresholds import DEFAULTS

@pytest.fixture(scope="session")
def thresholds():
    return DEFAULTS

def test_fast(measured):
    measured("simple_query_ms", 1.5)

def test_slow(measured):
    measured("simple_query_ms", 150.0)

def test_live(cluster):
    pass
"""


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text(TESTS)
    (folder / "pytest.ini").write_text("[pytest]\njunit_family = xunit1\n")
    plugin = [] if _registered() else ["-p", "halab.pytest_plugin"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *plugin, "-rs", *options, "test_it.py"],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )  # fmt: skip


def _registered() -> bool:
    """Whether the package is installed, so that pytest finds its plugin by itself."""
    from importlib.metadata import entry_points

    return any(point.value == "halab.pytest_plugin" for point in entry_points(group="pytest11"))


def test_measured_values_are_printed_and_recorded(tmp_path: Path) -> None:
    done = run(tmp_path, "--junit-xml=out.xml")
    assert done.returncode == 1, done.stdout + done.stderr
    lines = [line.split() for line in done.stdout.splitlines() if line.startswith("simple_query_ms  ")]
    assert [(line[1], line[-2], line[-1]) for line in lines] == [
        ("1.5", "kept", "test_fast"),
        ("150", "BROKEN", "test_slow"),
    ]
    assert "simple_query_ms = 150 ms, promised < 100 ms: median of a simple query" in done.stdout
    cases = {case.get("name"): case for case in ET.parse(tmp_path / "out.xml").getroot().iter("testcase")}
    told = {item.get("name"): item.get("value") for item in cases["test_slow"].iter("property")}
    assert told == {"simple_query_ms": "150.0", "simple_query_ms.threshold": "< 100 ms"}


def test_without_an_inventory_live_tests_are_skipped_with_the_reason(tmp_path: Path) -> None:
    assert "needs a running cluster: pass --inventory PATH" in run(tmp_path, "-k", "live").stdout


def test_an_inventory_that_does_not_exist_fails_in_its_own_words(tmp_path: Path) -> None:
    done = run(tmp_path, "-k", "live", "--inventory", "nowhere")
    assert done.returncode == 1
    assert "does not exist. Name a folder or file such as inventories/lab." in done.stdout
    assert "Traceback" not in done.stdout
