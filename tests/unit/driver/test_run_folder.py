"""Run folders: made once, found by every name, honest about their end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from halab.driver import overview, runfolder
from halab.driver.runfolder import RunFolder
from halab.errors import InputError


@pytest.fixture(autouse=True)
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HALAB_RUNS", str(tmp_path / "runs"))
    return tmp_path / "runs"


def test_each_run_has_its_own_folder_and_latest_follows(runs: Path) -> None:
    first, second = (RunFolder.create("health", {"cluster": {"name": "lab"}}) for _ in range(2))
    assert first.path != second.path
    assert (runs / "latest").resolve() == second.path.resolve()
    assert (runs / "latest").readlink() == Path(second.name), "relative, so that runs/ can be moved"
    assert [run.state for run in overview.runs()] == ["running", "running"]
    first.event("phase", name="load")
    first.finish()
    meta = json.loads((first.path / "run.json").read_text())
    assert meta["started"] <= meta["ended"]
    assert json.loads((first.path / "events.jsonl").read_text())["name"] == "load"
    assert [run.state for run in overview.runs()] == ["running", "not judged"]
    second.lock.release()
    assert [run.state for run in overview.runs()] == ["died", "not judged"]


@pytest.mark.usefixtures("runs")
def test_a_run_is_found_by_every_name(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = RunFolder.create("health", {})
    for name in ("latest", folder.name, "health", str(folder.path)):
        assert runfolder.find(name) == folder.path.resolve()
    (folder.path / "history.jsonl").touch()
    for name in ("history.jsonl", "run.json"):
        assert runfolder.find(str(folder.path / name)) == folder.path.resolve()
    monkeypatch.chdir(folder.path)
    assert runfolder.find("history.jsonl") == folder.path.resolve()
    with pytest.raises(InputError, match="RUN = 'nowhere': is not a run"):
        runfolder.find("nowhere")
