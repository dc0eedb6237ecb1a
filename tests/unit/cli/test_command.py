"""What all commands share: codes that mean one thing each, whatever goes wrong and whoever stops reading."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click
import pytest

from halab.command import errors_shown
from halab.errors import HalabError, InputError


def raising(error: BaseException) -> Callable[[], Any]:
    @errors_shown
    def command() -> None:
        raise error

    return command


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (HalabError("no"), 2),
        (InputError("x", []), 3),
        (OSError("no"), 2),
        (BrokenPipeError("no"), 2),
        (KeyboardInterrupt(), 130),
        (TypeError("no"), 2),
        (AssertionError(), 2),
        (MemoryError(), 2),
    ],
)
def test_no_error_has_the_code_of_a_verdict(error: BaseException, code: int) -> None:
    with pytest.raises(SystemExit) as caught:
        raising(error)()
    assert caught.value.code == code


def test_a_defect_is_called_one_and_shows_where_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        raising(LookupError("no such thing"))()
    said = capsys.readouterr().err
    assert "halab: a defect of halab: LookupError at test_command.py:" in said
    assert "no such thing" in said
    assert "Traceback" in said


@pytest.mark.parametrize("error", [click.UsageError("no"), click.exceptions.Exit(0), click.Abort()])
def test_wrong_usage_is_clicks_to_tell(error: BaseException) -> None:
    with pytest.raises(type(error)):
        raising(error)()


@pytest.mark.parametrize("arguments", [[], ["--json"]])
def test_a_broken_promise_is_one_whoever_reads(
    tmp_path: Path, environment: Mapping[str, str], arguments: list[str]
) -> None:
    path = tmp_path / "garbage-read.jsonl"
    calls = [("write", "invoke", 1), ("write", "ok", 1), ("read", "invoke", None), ("read", "ok", 2)]
    lines = [json.dumps({"process": 0, "f": f, "type": kind, "value": value}) for f, kind, value in calls]
    path.write_text("\n".join(lines) + "\n")
    command = [sys.executable, "-m", "halab", "check", "--import", str(path), "--model", "register", *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 1
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, env=environment, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr.count(b"No space left")) == (2, 1)


def test_a_refusal_is_one_when_nobody_reads_why(environment: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "halab", "check", "nowhere"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        process.stderr.close()
        assert process.wait(60) == 3
