"""What a person sees of a drill, as lines and on a terminal."""

from __future__ import annotations

import io

from rich.console import Console

from halab.driver.live import LiveProgress
from halab.driver.progress import PlainProgress

STATUS = {
    "ok": 1200, "fail": 3, "info": 2, "rate": 118.5, "last_write_ok_age_s": 7.7, "leader": None,
    "nodes": {"pg1": "down", "pg2": "replica"},
}  # fmt: skip


def test_lines_begin_with_the_time_and_status_is_rationed() -> None:
    lines: list[str] = []
    progress = PlainProgress(lines.append)
    progress.phase("recording")
    progress.step("not a line")
    for _ in range(3):
        progress.status(STATUS)
    progress.fault("x-1", "fault power on pg1 is injected", over=False)
    assert lines == [
        "0:00 == recording",
        "0:00    1200 ok, 3 fail, 2 info; 118.5/s; last write acknowledged 7.7 s ago; leader none",
        "0:00    fault power on pg1 is injected",
    ]


def test_without_a_load_there_are_no_operations_to_show() -> None:
    lines: list[str] = []
    PlainProgress(lines.append).status({"ok": 0, "fail": 0, "info": 0, "leader": "pg2"})
    assert lines == ["0:00    observing; leader pg2"]


def test_the_terminal_shows_what_is_so_now() -> None:
    output = io.StringIO()
    console = Console(file=output, force_terminal=True, width=120, highlight=False, color_system=None)
    progress = LiveProgress()
    with progress.shown(console):
        progress.phase("carrying out the faults")
        progress.step("Power off")
        progress.status(STATUS)
        progress.fault("x-1", "fault power on pg1 is seen to act", over=False)
        console.print(progress._picture())
        during = output.getvalue()
        progress.fault("x-1", "fault power on pg1 is seen to be gone", over=True)
        output.truncate(0)
        output.seek(0)
        console.print(progress._picture())
        after = output.getvalue()
    for words in ("carrying out the faults", "Power off", "1200 ok", "last write acknowledged 7.7 s ago", "pg1 down"):
        assert words in during
    assert "is seen to act" in during
    assert "is seen to act" not in after
