"""Set-up refuses what it cannot do: one message, nothing changed. That it works is what every other test stands on."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from tests.static.project import ROOT


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What set-up reads, in a folder with a space in its name."""
    folder = tmp_path / "a checkout"
    (folder / "scripts").mkdir(parents=True)
    for name in ("scripts/bootstrap", "pyproject.toml", "constraints.txt"):
        shutil.copy2(ROOT / name, folder / name)
    return folder


def bootstrap(folder: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run set-up as continuous integration does: no terminal, from another folder."""
    return subprocess.run(
        [folder / "scripts/bootstrap", *options], cwd="/", env={**os.environ, **environment}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def refused(done: subprocess.CompletedProcess[str], what: str) -> None:
    """It failed with what, why and fix, and said nothing else."""
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert [line.split(":")[0].strip() for line in lines] == ["halab", "why", "fix"], done.stderr
    assert what in lines[0]


def test_an_unknown_option(checkout: Path) -> None:
    refused(bootstrap(checkout, "--fast"), "unknown option --fast")


def test_a_folder_that_everyone_may_write(checkout: Path) -> None:
    checkout.chmod(0o777)
    refused(bootstrap(checkout, "--no-lab"), "may be written by everyone")
    assert not (checkout / ".venv").exists()


def test_an_environment_of_somebody_else(checkout: Path) -> None:
    (checkout / ".venv").mkdir()
    (checkout / ".venv/mine").touch()
    refused(bootstrap(checkout, "--no-lab"), ".venv is there but halab did not make it")
    assert [path.name for path in (checkout / ".venv").iterdir()] == ["mine"]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives up root, which only root can")
def test_a_user_who_cannot_become_root(
    checkout: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "sudo").write_text("#!/bin/sh\nexit 1\n")
    (tools / "sudo").chmod(0o755)
    # Pytest's own folders are closed to others; nobody else's are opened.
    base = tmp_path_factory.getbasetemp()
    for folder in (checkout, *checkout.parents):
        if folder.is_relative_to(base) or folder.name.startswith("pytest-"):
            folder.chmod(folder.stat().st_mode | 0o055)
    shutil.chown(checkout, "nobody")
    done = subprocess.run(
        ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", checkout / "scripts/bootstrap"],
        env={**os.environ, "PATH": f"{tools}:/usr/bin:/bin"}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    refused(done, "sudo asks nobody for a password")
    assert not (checkout / ".venv").exists()


MARK = ROOT / ".venv/.halab-dev"


@pytest.mark.skipif(not MARK.exists(), reason="the environment was not made by scripts/bootstrap --dev")
def test_a_second_set_up_is_quick_and_says_nothing() -> None:
    began = time.monotonic()
    done = bootstrap(ROOT, "--dev", "--no-lab")
    assert done.returncode == 0, done.stderr
    assert done.stdout == done.stderr == ""
    assert time.monotonic() - began < 1.0
