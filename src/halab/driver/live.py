"""A drill on a terminal: lines that stay above, the present state below."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from halab.driver.progress import slowest, under_load

_STALE_AFTER_S = 2.0
_OLD_ACKNOWLEDGEMENT_S = 1.0
_ROLE_STYLES = {
    "primary": "bold green",
    "leader": "bold green",
    "master": "bold green",
    "down": "bold red",
    "unknown": "yellow",
}


class LiveProgress:
    """Phase, elapsed time, outcomes, age of the last acknowledged write and roles. Called from several threads."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._phase = "starting"
        self._phase_began = self._began
        self._step = ""
        self._status: Mapping[str, Any] = {}
        self._heard = 0.0
        self._faults: dict[str, str] = {}
        self._console: Console | None = None

    def phase(self, name: str) -> None:
        with self._lock:
            self._phase, self._phase_began, self._step = name, time.monotonic(), ""
        self._print(f"== {name}", "bold")

    def note(self, text: str) -> None:
        self._print(f"   {text}", "")

    def fault(self, fault_id: str, text: str, *, over: bool) -> None:
        self.note(text)
        with self._lock:
            self._faults.pop(fault_id, None)
            if not over:
                self._faults[fault_id] = text

    def step(self, text: str) -> None:
        with self._lock:
            self._step = text

    def status(self, status: Mapping[str, Any]) -> None:
        with self._lock:
            self._status, self._heard = status, time.monotonic()

    @contextmanager
    def shown(self, console: Console) -> Iterator[None]:
        """Draw on a terminal until the context ends."""
        self._console = console
        with Live(get_renderable=self._picture, console=console, refresh_per_second=4, transient=True):
            yield
        self._console = None

    def _print(self, text: str, style: str) -> None:
        console = self._console
        if console is not None:
            console.print(Text(f"{_clock(time.monotonic() - self._began)} {text}", style=style), soft_wrap=True)

    def _picture(self) -> RenderableType:
        with self._lock:
            phase, step, status, faults = self._phase, self._step, self._status, list(self._faults.values())
            phase_s, silent_s = time.monotonic() - self._phase_began, time.monotonic() - self._heard
        head = Text.assemble(
            (_clock(time.monotonic() - self._began), "bold"), f"  {phase} ", (f"({phase_s:.0f} s)", "dim")
        )
        if step:
            head.append(f"  {step}", style="dim")
        head.no_wrap, head.overflow = True, "ellipsis"
        lines: list[RenderableType] = [head, *(Text(words, style="bold yellow") for words in faults)]
        # What the recorder said some time ago is no longer so.
        if status and silent_s <= _STALE_AFTER_S:
            lines += [_operations(status), *_latencies(status)] if under_load(status) else []
            lines.append(_nodes(status))
        return Group(*lines)


def _operations(status: Mapping[str, Any]) -> RenderableType:
    age = status.get("last_write_ok_age_s")
    table = Table.grid(padding=(0, 3))
    table.add_row(
        Text(f"{status.get('ok', 0)} ok", "green"),
        Text(f"{status.get('fail', 0)} fail", "red" if status.get("fail") else "dim"),
        Text(f"{status.get('info', 0)} unknown", "yellow" if status.get("info") else "dim"),
        Text(f"{status.get('rate', 0):g}/s"),
        Text(
            "no write acknowledged yet" if age is None else f"last write acknowledged {age:.1f} s ago",
            "" if age is not None and age < _OLD_ACKNOWLEDGEMENT_S else "bold red",
        ),
    )
    return table


def _latencies(status: Mapping[str, Any]) -> list[RenderableType]:
    """Of the last second, by kind of operation, the slowest."""
    return [
        Text(f"{kind}: median {median:g} ms, 95 % {most:g} ms, 99 % {worst:g} ms", style="dim")
        for kind, (median, most, worst) in slowest(status)
    ]


def _nodes(status: Mapping[str, Any]) -> RenderableType:
    line = Text()
    for name, role in status.get("nodes", {}).items():
        line.append(f"{name} ", style="dim")
        line.append(f"{role}   ", style=_ROLE_STYLES.get(role, ""))
    return line


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:d}:{int(seconds) % 60:02d}"
