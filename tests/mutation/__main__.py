"""`python -m tests.mutation [CHECKER ...]`: exit 1 where a mutant survives that is not listed as equivalent."""

from __future__ import annotations

import argparse
import os
import sys
from time import monotonic

from tests.mutation.survey import Survey, survey
from tests.mutation.targets import Target, equivalents, targets
from tests.mutation.trial import copy_of_the_tree, full_name, preload, source_of


def main(arguments: list[str] | None = None) -> int:
    """Survey the checkers, one module after the other, and say what survived."""
    options = _parser().parse_args(arguments)
    try:
        chosen = targets(tuple(options.checker))
    except ValueError as error:
        sys.exit(str(error))
    preload()
    listed, bad = equivalents(), 0
    with copy_of_the_tree() as root:
        for target in chosen:
            begin = monotonic()
            try:
                found = survey(root, target, listed, limit=options.limit, seed=options.seed, jobs=options.jobs)
            except ValueError as error:
                sys.exit(str(error))
            bad += len(found.survivors) + len(found.unneeded)
            _report(str(source_of(root, target.module).relative_to(root)), target, found, monotonic() - begin)
    return 1 if bad else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.mutation", description=__doc__)
    parser.add_argument("checker", nargs="*", help="or one module; default: all in targets.toml")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="mutants tried at a time")
    parser.add_argument("--limit", type=int, help="try so many of each module, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="which of them")
    return parser


def _report(path: str, target: Target, found: Survey, seconds: float) -> None:
    for mutant in found.survivors:
        _say(f"{path}:{mutant.line}: {mutant.what}")
    for entry in found.unneeded:
        _say(f"{path}: listed as equivalent, but noticed or no longer there: {entry.line}: {entry.what}")
    survivors = f"{len(found.survivors)} survived" if found.survivors else "none survived"
    _say(f"{full_name(target.module)}: {found.tried} mutants, {survivors}, {found.excused} equivalent, {seconds:.0f} s")


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
