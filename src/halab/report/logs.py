"""Bounded excerpts of the nodes' logs: the lines around the faults, tied to the axis where they carry a time."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from halab.report.folder import moment
from halab.report.recording import Recording

_LINES_PER_NODE = 300
_LINES_BEFORE = 60
_LINES_AFTER = 200
_LINE_LENGTH = 400
_PAGE_BUDGET = 600_000
"""Characters of log on one page, shared by all nodes."""
_TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,6})?\d*(?:Z|\s?[+-]\d\d:?\d\d| UTC)?")
_TROUBLE = re.compile(
    r"\b(?:fatal|panic|error|err|critical|crit|emerg|alert|failed|failure|timed? ?out|refused|killed|segfault|"
    r"split.?brain)\b",
    re.I,
)
_CHANGE = re.compile(
    r"\b(?:promot\w+|demot\w+|switch-master|odown|sdown|failover|switchover|rewind\w*|became leader|lost leader|"
    r"elected|acquired session lock|new timeline|(?-i:(?:MASTER|BACKUP) STATE|is (?:UP|DOWN)))\b",
    re.I,
)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line. `at` in seconds of load, None without a time; `mark` is trouble, change or nothing."""

    at: float | None
    text: str
    mark: str


@dataclass(frozen=True, slots=True)
class LogExcerpt:
    """What of one log file is on the page: `lines` of `total`."""

    node: str
    path: str
    total: int
    lines: tuple[LogLine, ...]


def excerpts(run_dir: Path, recording: Recording, around_s: float | None) -> list[LogExcerpt]:
    """An excerpt of each file in logs/: around a time on the axis, or the last lines when there is none."""
    files = sorted((run_dir / "logs").glob("*.log"))
    share = _PAGE_BUDGET // max(len(files), 1)
    return [_excerpt(run_dir, file, recording, around_s, share) for file in files]


def _excerpt(run_dir: Path, file: Path, recording: Recording, around_s: float | None, share: int) -> LogExcerpt:
    window = _Window(around_s)
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            for text in lines:
                window.add(_line(text, recording))
    except OSError as error:
        window.add(LogLine(None, f"(cannot be read: {error.strerror})", "trouble"))
    return LogExcerpt(
        file.stem, file.relative_to(run_dir).as_posix(), window.total, tuple(_within(window.chosen, share))
    )


class _Window:
    """The lines around a time out of a stream of any length: mostly those after it, for they show its consequences.

    Where the lines after it are too many, the last places are kept for later changes of role.
    """

    def __init__(self, around_s: float | None) -> None:
        self.total = 0
        self._around_s = around_s
        self._before: deque[LogLine] = deque(maxlen=_LINES_PER_NODE)
        self._after: list[LogLine] = []

    def add(self, line: LogLine) -> None:
        self.total += 1
        if not self._after and (self._around_s is None or line.at is None or line.at < self._around_s):
            self._before.append(line)
        elif len(self._after) < (_LINES_PER_NODE - _LINES_BEFORE if line.mark == "change" else _LINES_AFTER):
            self._after.append(line)

    @property
    def chosen(self) -> list[LogLine]:
        room = _LINES_PER_NODE - len(self._after)
        return [*list(self._before)[-room:], *self._after]


def _within(lines: Iterable[LogLine], budget: int) -> list[LogLine]:
    kept: list[LogLine] = []
    for line in lines:
        # A line costs about 60 characters of markup besides its text.
        budget -= len(line.text) + 60
        if budget < 0:
            break
        kept.append(line)
    return kept


def _line(text: str, recording: Recording) -> LogLine:
    text = text.rstrip("\n")
    found = _TIME.search(text[:80])
    wall = moment(found.group().replace(",", ".").replace(" UTC", "Z")) if found else None
    at = recording.relative(wall) if wall else None
    shown = text if len(text) <= _LINE_LENGTH else text[:_LINE_LENGTH] + " \u2026"
    mark = "trouble" if _TROUBLE.search(shown) else "change" if _CHANGE.search(shown) else ""
    return LogLine(None if at is None else round(at, 2), shown, mark)
