"""Verdicts: comparison, composition, exit codes, JSON."""

from __future__ import annotations

import json
from itertools import product

import pytest

from halab.verdict import Bound, Comparison, Judgement, Status, Verdict, compose

V, BAD, OPEN = Status.VALID, Status.INVALID, Status.UNKNOWN


def verdict(status: Status, *, measured: float | None = 1.5) -> Verdict:
    return Verdict(
        name="lag", title="Lag", status=status, measured=measured, unit="s", bound=Bound(Comparison.LESS, 5),
        witness="Nothing.", details={"end_s": {"pg1": 1.5}},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("comparison", "below", "equal", "above", "is_least"),
    [
        ("<", True, False, False, False),
        ("<=", True, True, False, False),
        ("==", False, True, False, False),
        (">=", False, True, True, True),
        (">", False, False, True, True),
    ],
)
def test_comparisons(comparison: str, below: bool, equal: bool, above: bool, is_least: bool) -> None:
    bound = Bound(Comparison(comparison), 5)
    assert bound.is_least is is_least
    assert [bound.holds(4.9), bound.holds(5), bound.holds(5.1)] == [below, equal, above]
    assert str(bound) == f"{comparison} 5"


def test_nothing_holds_for_what_is_not_a_number() -> None:
    assert not any(Bound(comparison, 5).holds(float("nan")) for comparison in Comparison)


@pytest.mark.parametrize("statuses", list(product(Status, repeat=3)))
def test_the_worst_decides(statuses: tuple[Status, ...]) -> None:
    expected = BAD if BAD in statuses else OPEN if OPEN in statuses else V
    assert compose(statuses) is expected


def test_nothing_judged_is_nothing_proven() -> None:
    assert compose([]) is OPEN
    assert Judgement(run="r", promises=()).exit_code == 2


@pytest.mark.parametrize(
    ("statuses", "code"), [((V, V), 0), ((V, BAD), 1), ((V, OPEN), 2), ((OPEN, BAD), 1), ((OPEN,), 2)]
)
def test_exit_codes(statuses: tuple[Status, ...], code: int) -> None:
    judgement = Judgement(run="r", promises=tuple(map(verdict, statuses)))
    assert judgement.exit_code == code
    assert judgement.as_dict()["exit_code"] == code


def test_a_judgement_survives_json() -> None:
    judgement = Judgement(run="drill/1", promises=(verdict(V), verdict(OPEN, measured=None)))
    document = json.loads(json.dumps(judgement.as_dict()))
    assert Judgement.from_dict(document) == judgement
    assert document["promises"][0] == {
        "name": "lag", "title": "Lag", "verdict": "VALID", "measured": 1.5, "unit": "s", "comparison": "<",
        "threshold": 5, "witness": "Nothing.", "details": {"end_s": {"pg1": 1.5}},
    }  # fmt: skip


def test_a_run_that_could_not_be_judged_says_why_and_is_not_proven() -> None:
    failed = Judgement(run="drill/1", promises=(verdict(V),), error="history.jsonl: cannot be read")
    document = failed.as_dict()
    assert (document["error"], document["exit_code"]) == ("history.jsonl: cannot be read", 2)
    assert Judgement.from_dict(document) == failed
    assert "error" not in Judgement(run="drill/1", promises=(verdict(V),)).as_dict()


def test_a_downgraded_verdict_keeps_what_was_measured() -> None:
    lower = verdict(V).downgraded("the load never started")
    assert lower.status is OPEN
    assert lower.measured == 1.5
    assert lower.witness == "Not proven: the load never started. Measured nevertheless: Nothing."
