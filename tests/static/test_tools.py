"""The tools of the trade find nothing."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from tests.static.project import ROOT, files, load, tool

COMMANDS = {
    "ansible-lint": ("ansible-lint", "--offline", "--profile", "production", "--strict", "-q"),
    "yamllint": ("yamllint", "--strict", "."),
    "ruff check": ("ruff", "check", "--output-format", "concise", "."),
    "ruff format": ("ruff", "format", "--check", "."),
    "mypy": ("mypy", "--strict", "src"),
}


def passed(done: subprocess.CompletedProcess[str]) -> None:
    """Fail with what the tool said."""
    if done.returncode != 0:
        pytest.fail(f"{' '.join(map(str, done.args))}\n{done.stdout}{done.stderr}", pytrace=False)


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_tool(command: tuple[str, ...]) -> None:
    passed(tool(*command))


PLAYBOOKS = sorted(
    path.relative_to(ROOT)
    for folder in ("playbooks", "playbooks/faults")
    for path in (ROOT / folder).glob("*.yml")
    if isinstance(load(path), list)
)
INVENTORIES = sorted(path.relative_to(ROOT) for path in (ROOT / "inventories").iterdir() if path.is_dir())


def test_there_are_playbooks() -> None:
    names = {path.stem for path in PLAYBOOKS}
    assert {"create", "provision", "verify", "chaos", "status", "heal", "destroy"} <= names


@pytest.mark.parametrize("playbook", PLAYBOOKS, ids=str)
def test_playbook_syntax(playbook: Path) -> None:
    for inventory in INVENTORIES:
        passed(tool("ansible-playbook", "--syntax-check", "-i", str(inventory), str(playbook)))


def test_shell_scripts() -> None:
    if not shutil.which("shellcheck"):
        pytest.skip("shellcheck is not installed (scripts/bootstrap --dev installs it)")
    scripts = [path for path in files(ROOT) if path.suffix == ".sh" or _is_shell(path)]
    assert ROOT / "scripts/bootstrap" in scripts
    passed(tool("shellcheck", *map(str, scripts)))


def _is_shell(path: Path) -> bool:
    if path.suffix:
        return False
    with path.open("rb") as stream:
        return stream.readline().startswith((b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash"))
