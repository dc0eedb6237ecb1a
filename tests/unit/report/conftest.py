"""One made-up run, written once and copied for each test that may damage it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.unit.report import sample


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole run folder that no test may change."""
    return sample.write_run(tmp_path_factory.mktemp("runs") / "primary-failure" / "20261121T101500Z")


@pytest.fixture
def run(whole_run: Path, tmp_path: Path) -> Path:
    """A run folder of the test's own."""
    return Path(shutil.copytree(whole_run, tmp_path / "primary-failure" / whole_run.name))
