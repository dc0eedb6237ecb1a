"""The errors that halab raises on purpose: each says what is wrong, where, and what to do next."""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


class HalabError(Exception):
    """Base of every error that a person can act on; its text is fit to be shown as it is."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with what halab was given. `value` is shown, so it must never be a secret."""

    key: str
    value: object
    reason: str
    fix: str

    def __str__(self) -> str:
        shown = "" if self.value is None else f" = {self.value!r}"
        return f"{self.key}{shown}: {self.reason}. {self.fix}"


class InputError(HalabError):
    """Input that halab refuses; `problems` holds every one found, not only the first."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{source}: {problem}" for problem in self.problems))


def told(error: BaseException) -> str:
    """An error in words: its own where a person can act on it, else that halab has a defect, and where."""
    if isinstance(error, HalabError | OSError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"a defect of halab: {type(error).__name__}{where}: {str(error)[:500]}"
