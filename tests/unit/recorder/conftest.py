"""A recorder process on the scratch server, spoken to as the driver does."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

WORKLOAD = {"writers": 8, "write_rate": 10, "readers": 4, "read_rate": 10}


class Driver:
    """The other end of a recorder's pipes."""

    def __init__(self, run_dir: Path) -> None:
        source = Path(__file__).resolve().parents[3] / "src"
        self.run_dir = run_dir
        self.process = subprocess.Popen(
            [sys.executable, "-m", "halab.recorder", str(run_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(source)},
        )
        self._lines: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.put(json.loads(line))

    def expect(self, wanted: Callable[[dict[str, Any]], bool], *, within_s: float = 20) -> dict[str, Any]:
        until = time.monotonic() + within_s
        while True:
            message = self._lines.get(timeout=max(0.01, until - time.monotonic()))
            if wanted(message):
                return message

    def ready(self) -> None:
        message = self.expect(lambda message: "ready" in message or "error" in message)
        assert message.get("ready"), message

    def send(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def do(self, name: str, **arguments: Any) -> dict[str, Any]:
        self.send(json.dumps({"do": name, **arguments}))
        return self.expect(lambda message: message.get("done") == name)

    def go_away(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()

    @property
    def history(self) -> Path:
        return self.run_dir / "history.jsonl"


@pytest.fixture
def run_dir(tmp_path: Path, postgres) -> Path:
    folder = tmp_path / "runs" / "primary-failure" / "20261121T101500Z"
    folder.mkdir(parents=True)
    scenario = {"name": "scratch", "description": "Load and nothing else.", "destructive": False, "workload": WORKLOAD}
    run = {"run": "scratch/1", "scenario": scenario, "inventory": str(postgres.inventory(tmp_path))}
    (folder / "run.json").write_text(json.dumps(run))
    return folder


@pytest.fixture
def start() -> Iterator[Callable[[Path], Driver]]:
    """Starts recorders, and ends those that a test leaves running."""
    started: list[Driver] = []

    def begin(folder: Path) -> Driver:
        started.append(Driver(folder))
        return started[-1]

    yield begin
    for driver in started:
        if driver.process.poll() is None:
            driver.process.kill()
        driver.process.wait(10)


@pytest.fixture
def driver(start: Callable[[Path], Driver], run_dir: Path) -> Driver:
    return start(run_dir)
