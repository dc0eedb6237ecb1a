"""What `halab check --import FILE --model MODEL` does."""

from __future__ import annotations

import json
import math

import click

from halab.consistency.append import DEFAULT_LEVEL, LEVELS
from halab.consistency.finding import Finding
from halab.errors import InputError, Problem
from halab.imports import wording
from halab.imports.history import History
from halab.imports.model import Model, Task
from halab.imports.naming import Naming
from halab.imports.reading import read
from halab.imports.table import MODELS, listing, model_named
from halab.imports.values import plain, printable

LIST = "list"


def judge_file(
    path: str | None, model: str | None, *, isolation: str | None, time_limit_s: float, as_json: bool
) -> int:
    """Judge a history that something else recorded, say what was found, and return the exit code of the verdict.

    `model` is a row of `table.MODELS`, or `list` to show them all. `isolation`, a level of `append.LEVELS`, is for
    list-append; `time_limit_s`, in seconds, is for models whose cost can explode. Raises InputError for whatever is
    refused: then nothing was judged.
    """
    if model == LIST:
        click.echo(listing())
        return 0
    if model is None or path is None:
        raise _refused(model, path)
    chosen = model_named(model)
    level = _level(chosen, isolation)
    if not (time_limit_s > 0 and math.isfinite(time_limit_s)):
        raise InputError("--time-limit", [Problem("seconds", time_limit_s, "is no time", "More than 0")])
    history = read(path, chosen)
    finding = judge(history, chosen, isolation=level, limit_s=time_limit_s)
    if as_json:
        document = wording.document(history, chosen, level, finding)
        click.echo(printable(json.dumps(plain(document), indent=2, ensure_ascii=False, default=str)))
    else:
        click.echo(printable(wording.text(history, chosen, level, finding)))
    return finding.status.exit_code


def judge(history: History, model: Model, *, isolation: str = DEFAULT_LEVEL, limit_s: float = 60.0) -> Finding:
    """What the checker of `model` finds, its operations named by their lines. Raises InputError, as judges do."""
    naming = Naming()
    finding = model.judge(Task(history=history, naming=naming, isolation=isolation, limit_s=limit_s))
    return naming.put_right(finding, lambda op: wording.told(history.entries[op]))


def _refused(model: str | None, path: str | None) -> InputError:
    names = ", ".join(each.name for each in MODELS)
    if path is None:
        return InputError("--model", [Problem("--import", None, "is missing", "Name the file of a history")])
    return InputError(path, [Problem("--model", model, "is missing", f"One of {names}; `list` shows them")])


def _level(model: Model, isolation: str | None) -> str:
    if not model.levels:
        if isolation is not None:
            fix = f"Leave it out: it is for {', '.join(each.name for each in MODELS if each.levels)}"
            raise InputError("--isolation", [Problem("level", isolation, f"means nothing for {model.name}", fix)])
        return ""
    level = isolation or DEFAULT_LEVEL
    if level not in LEVELS:
        raise InputError("--isolation", [Problem("level", level, "is unknown", f"One of {', '.join(LEVELS)}")])
    return level
