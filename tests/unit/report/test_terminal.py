"""The verdict in a terminal and in a log file."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from tests.unit.report import sample

from halab.report import html, terminal


class Screen(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")


def printed(run: Path, stream: io.StringIO) -> str:
    terminal.summary(run, stream=stream)
    return stream.getvalue()


def test_a_log_file_gets_one_plain_line_per_promise(run: Path) -> None:
    html.render(run)
    lines = printed(run, io.StringIO()).splitlines()
    assert lines[0].split()[:6] == ["VALID", "write_outage", "17.24", "s", "<", "30"]
    assert lines[1].startswith("INVALID  lost_writes")
    assert lines[1].endswith("absent from every node: 3000117, 5000119")
    assert lines[-2] == "INVALID  primary-failure/20261121T101500Z: 5 promises: 3 kept, 1 broken, 1 not proven"
    assert lines[-1] == f"Report: {run / 'report.html'}"
    assert len(lines) == len(sample.PROMISES) + 2


def test_plain_output_has_no_escape_sequences_and_no_line_breaks_from_witnesses(run: Path) -> None:
    document = json.loads((run / "verdicts.json").read_text())
    document["promises"][0]["witness"] = "one\ntwo\r\n  three"
    (run / "verdicts.json").write_text(json.dumps(document))
    text = printed(run, io.StringIO())
    assert "\x1b" not in text
    assert "one two three" in text


def test_a_terminal_gets_a_table_and_the_reasons(run: Path) -> None:
    text = printed(run, Screen())
    assert "\x1b[" in text
    assert "Promise" in text
    assert "\u2717 INVALID" in text
    assert "primary-failure-1 has no record 'gone': nobody looked" in text


def test_no_color_is_respected(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    text = printed(run, Screen())
    assert "[31m" not in text
    assert "[1;31m" not in text
    assert "\u2717 INVALID" in text


def test_markup_in_a_witness_is_text(run: Path) -> None:
    document = json.loads((run / "verdicts.json").read_text())
    document["promises"][1]["witness"] = "[bold]not markup[/bold] [/]"
    (run / "verdicts.json").write_text(json.dumps(document))
    assert "[bold]not markup[/bold] [/]" in printed(run, Screen())


@pytest.mark.parametrize("stream", [io.StringIO, Screen])
def test_a_run_that_was_not_judged_says_so(run: Path, stream: type[io.StringIO]) -> None:
    (run / "verdicts.json").unlink()
    text = printed(run, stream())
    assert "verdicts.json is missing: the run ended before it was judged." in text
    assert "UNKNOWN  primary-failure/20261121T101500Z: no promise was judged" in text


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such run folder"):
        terminal.summary(tmp_path / "absent")
