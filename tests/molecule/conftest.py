"""Options of the run of all scenarios. The tests in verify/ are molecule's to run: they need what a scenario made."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from tests.molecule.selection import changed_since, concerned, scenarios

VERIFY = Path(__file__).parent / "verify"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that leaves out what a change does not concern."""
    words = "only the scenarios that are concerned by what changed since a commit, such as origin/main"
    parser.getgroup("molecule").addoption("--changed-since", metavar="COMMIT", help=words)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave verify/ to molecule, which says by --ansible-inventory whose machines are meant."""
    if collection_path == VERIFY and not config.getoption("ansible_inventory"):
        return True
    return None


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Make one test of each scenario, in their order."""
    if "scenario" not in metafunc.fixturenames:
        return
    chosen = scenarios()
    reference = metafunc.config.getoption("--changed-since", default=None)
    if reference:
        try:
            chosen = concerned(changed_since(reference), chosen)
        except subprocess.CalledProcessError:
            pass  # not a commit that is known here, as of a new branch: all of them
    metafunc.parametrize("scenario", chosen, ids=lambda one: one.name)
