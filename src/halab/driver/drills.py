"""A series of drills on one cluster, which stays up between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from halab.driver import site
from halab.driver.drill import Outcome, drill
from halab.driver.prepare import Refused, Request, Unsupported
from halab.driver.progress import Progress
from halab.driver.runfolder import runs_root
from halab.driver.runner import PlayFailed
from halab.errors import HalabError, told
from halab.report import drills as report
from halab.report.drills import FAILED, REFUSED, Row
from halab.runfile import read_verdicts
from halab.verdict import Status

INTERRUPTED = 130
NOTHING_RAN = 3


def run_all(
    request: Request, names: Sequence[str], progress: Progress, *, told: Callable[[Row], object]
) -> tuple[list[Row], int]:
    """Carry out scenarios one after the other; returns a row each and the worst exit code.

    An interrupt ends the series.
    """
    rows: list[Row] = []
    for number, name in enumerate(names, start=1):
        progress.phase(f"drill {number} of {len(names)}: {name}")
        began = time.monotonic()
        row, interrupted = _one(replace(request, scenario=name), progress)
        rows.append(replace(row, seconds=round(time.monotonic() - began, 1)))
        told(rows[-1])
        if interrupted:
            return rows, INTERRUPTED
    return rows, exit_code(rows)


def exit_code(rows: Sequence[Row]) -> int:
    """The worst of all drills. Refused ones are counted, not held against the cluster, unless nothing else was run."""
    verdicts = {row.verdict for row in rows}
    if Status.INVALID.value in verdicts:
        return Status.INVALID.exit_code
    if verdicts & {Status.UNKNOWN.value, FAILED}:
        return Status.UNKNOWN.exit_code
    return 0 if Status.VALID.value in verdicts else NOTHING_RAN


def keep(rows: Sequence[Row]) -> Path:
    """Write table, JUnit and JSON of a series into a folder of its own; returns it. Raises OSError."""
    folder = runs_root() / "drills" / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder.mkdir(parents=True, exist_ok=True)
    report.write(folder, rows)
    return folder


def _one(request: Request, progress: Progress) -> tuple[Row, bool]:
    try:
        outcome = _with_a_mended_cluster(request, progress)
    except Unsupported as error:
        return Row(request.scenario, REFUSED, 0, why="; ".join(error.reasons)), False
    except Exception as error:  # noqa: BLE001 (one drill's trouble, and be it our own defect, is not the next one's)
        return Row(request.scenario, FAILED, 0, why=told(error)), False
    return _row(request.scenario, outcome), outcome.exit_code == INTERRUPTED


def _with_a_mended_cluster(request: Request, progress: Progress) -> Outcome:
    """What one drill broke for good must not fail all that come after it: provision once, then try again."""
    try:
        return drill(request, progress)
    except Unsupported:
        raise
    except Refused as error:
        progress.note(str(error))
        where = site.open_site(request.inventory)
        if not where.ownership.owned:
            raise
        progress.note("the cluster is provisioned again")
        with site.locked(where, "halab drills", progress):
            try:
                site.up(where, progress)
            except PlayFailed as again:
                raise again from error
        return drill(request, progress)


def _row(scenario: str, outcome: Outcome) -> Row:
    try:
        judged = read_verdicts(outcome.folder / "verdicts.json")
    except HalabError as error:
        return Row(scenario, outcome.status, 0, why="; ".join([*outcome.problems, str(error)]), run=outcome.run)
    doubt = [outcome.overloaded] if outcome.overloaded and outcome.status != Status.VALID.value else []
    measured = {verdict.name: verdict.measured for verdict in judged.promises}
    reasons: dict[str, list[str]] = {}
    for verdict in judged.promises:
        if verdict.status is not Status.VALID:
            # What keeps several promises from being proven is told once.
            reasons.setdefault(verdict.witness.partition(" Measured nevertheless:")[0].rstrip("."), []).append(
                verdict.name
            )
    bad = [f"{', '.join(names)}: {reason}" for reason, names in reasons.items()]
    return Row(
        scenario,
        outcome.status,
        0,
        outage_s=measured.get("write_outage"),
        lost=measured.get("lost_writes"),
        why="; ".join([*bad, *outcome.problems, *doubt]),
        run=outcome.run,
    )
