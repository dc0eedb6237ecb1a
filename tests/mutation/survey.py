"""Which mutants of a module its tests do not notice."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tests.mutation.mutants import Mutant, mutants
from tests.mutation.targets import Equivalent, Target
from tests.mutation.trial import ROOT, Trial, source_of

PATIENCE = 4
"""A mutant may take so many times as long as the module itself, and `LEAST_S` more."""
LEAST_S = 5.0


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found out about one module. `unneeded` are entries of the list that no survivor bears out."""

    tried: int
    excused: int
    survivors: tuple[Mutant, ...]
    unneeded: tuple[Equivalent, ...]


def survey(
    root: Path, target: Target, listed: Collection[Equivalent], *, limit: int | None, seed: int, jobs: int
) -> Survey:
    """Try all mutants of one module of the copy at `root`, or `limit` of them, drawn by `seed`.

    Raises ValueError where the tests fail without any mutant: nothing could be told by them.
    """
    candidates = list(mutants(source_of(root, target.module)))
    if limit is not None and limit < len(candidates):
        candidates = random.Random(seed).sample(candidates, limit)  # noqa: S311  a sample, not a secret
    limit_s = LEAST_S + PATIENCE * duration(root, target)
    mine = {(each.function, each.line, each.what): each for each in listed if each.module == target.module}
    unnoticed = list(survivors(root, target, candidates, limit_s=limit_s, jobs=jobs))
    excused = [place for mutant in unnoticed if (place := _place(mutant)) in mine]
    return Survey(
        tried=len(candidates),
        excused=len(excused),
        survivors=tuple(mutant for mutant in unnoticed if _place(mutant) not in mine),
        unneeded=tuple(each for place, each in mine.items() if place not in excused) if limit is None else (),
    )


def _place(mutant: Mutant) -> tuple[str, str, str]:
    return mutant.function, mutant.text, mutant.what


def duration(root: Path, target: Target) -> float:
    """Seconds that the tests take on the module as it is."""
    begin = monotonic()
    if not Trial.of(root, target.module, None, target.tests, limit_s=600).wait():
        raise ValueError(f"{', '.join(target.tests)} do not pass on {target.module} as it is in {ROOT}")
    return monotonic() - begin


def survivors(
    root: Path, target: Target, candidates: Sequence[Mutant], *, limit_s: float, jobs: int = 1
) -> Iterator[Mutant]:
    """Those of `candidates` that all tests pass with; `jobs` of them are tried at a time."""
    running: deque[tuple[Mutant, Trial]] = deque()
    waiting = deque(candidates)
    while waiting or running:
        while waiting and len(running) < jobs:
            mutant = waiting.popleft()
            running.append((mutant, Trial.of(root, target.module, mutant.code, target.tests, limit_s=limit_s)))
        mutant, trial = running.popleft()
        if trial.wait():
            yield mutant
