"""The verdict in a terminal: a table for a person, plain lines for a log file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from halab.report import folder as run_folder
from halab.report import wording
from halab.report.folder import RunFolder

_STYLES = {"VALID": "green", "INVALID": "bold red", "UNKNOWN": "bold yellow"}


def summary(run_dir: Path, *, stream: TextIO | None = None) -> None:
    """Print a run's verdict to `stream` (standard output by default).

    A terminal gets a table, in colour unless NO_COLOR is set; anything else gets one plain line per promise.
    Raises FileNotFoundError when there is no such run folder.
    """
    stream = stream or sys.stdout
    folder = run_folder.load(run_dir)
    if stream.isatty():
        _table(folder, Console(file=stream, highlight=False))
    else:
        stream.write(_plain(folder))
    stream.flush()


def _plain(folder: RunFolder) -> str:
    rows = [
        (
            promise.verdict,
            promise.name,
            wording.quantity(promise.measured, promise.unit),
            wording.requirement(promise),
            _one_line(promise.witness),
        )
        for promise in folder.promises
    ]
    widths = [max((len(row[column]) for row in rows), default=0) for column in range(4)]
    lines = [
        "  ".join((*map(str.ljust, row[:2], widths[:2]), *map(str.rjust, row[2:4], widths[2:]), row[4])).rstrip()
        for row in rows
    ]
    notes = [f"note: {_one_line(note)}" for note in folder.notes]
    return "\n".join([*lines, *notes, *_closing(folder)]).replace("\u00a0", " ") + "\n"


def _table(folder: RunFolder, console: Console) -> None:
    """Numbers side by side; below them, in the full width, why a promise was not kept."""
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0))
    table.add_column("Promise")
    table.add_column("Measured", justify="right", no_wrap=True)
    table.add_column("Promised", justify="right", no_wrap=True)
    table.add_column("Verdict", no_wrap=True)
    for promise in folder.promises:
        verdict = Text(f"{wording.VERDICT_MARKS[promise.verdict]} {promise.verdict}", style=_STYLES[promise.verdict])
        measured = Text(wording.quantity(promise.measured, promise.unit))
        table.add_row(Text(promise.title), measured, Text(wording.requirement(promise)), verdict)
    if folder.promises:
        console.print(table)
    for promise in folder.promises:
        if promise.verdict != "VALID":
            mark = Text(f"{wording.VERDICT_MARKS[promise.verdict]} {promise.title}: ", style=_STYLES[promise.verdict])
            console.print(mark.append(promise.witness, style="not bold default"))
    for note in folder.notes:
        console.print(Text(f"note: {note}", style="yellow"))
    verdict_line, *rest = _closing(folder)
    console.print(Text(verdict_line, style=_STYLES[folder.status]), soft_wrap=True)
    for line in rest:
        console.print(Text(line), soft_wrap=True)


def _closing(folder: RunFolder) -> list[str]:
    lines = [f"{folder.status}  {folder.run}: {wording.tally(folder.promises)}"]
    report = folder.path / "report.html"
    if report.is_file():
        lines.append(f"Report: {report}")
    return lines


def _one_line(text: str) -> str:
    return " ".join(text.split())
