"""How a witness is put in words, and how much is done for it."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from time import monotonic

import pytest
from tests.unit.consistency.handmade_linearizable import Row, calls, judge
from tests.unit.consistency.test_linearizable_reference import OBJECTS, history

from halab.consistency import linearizable
from halab.consistency.call import Call
from halab.consistency.columns import INFO
from halab.consistency.linear import witness
from halab.consistency.linear.case import Case, partition
from halab.consistency.linear.witness import Effort, Wording, explain, search_for
from halab.consistency.linearizable import GRACE_S, check
from halab.consistency.models import Model, Register, Transactions
from halab.verdict import Status

FOREVER = float("inf")


def writes_and_a_lie(number: int) -> list[Row]:
    """So many calls, of which the last reads the first write."""
    rows: list[Row] = [(2 * at, 2 * at + 1, "write", at) for at in range(number - 1)]
    return [*rows, (100, 101, "read", None, 0)]


@pytest.mark.parametrize(
    ("number", "words"), [(8, "#8 (read -> 0)."), (9, "#8 (write 7) and 1 more."), (10, " and 2 more.")]
)
def test_without_effort_the_witness_is_the_whole_history_of_which_some_calls_are_named(
    number: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness, "EFFORT", 0)
    finding = judge(Register(), *writes_and_a_lie(number))
    assert finding.status is Status.INVALID
    assert finding.words.split(" The longest order")[0].endswith(words)
    assert finding.words.endswith("#2 (write 1) has no place after it that later answers agree with.")
    (facts,) = finding.details["witnesses"]
    assert (len(facts["core"]), facts["exact"]) == (number, False)


def test_without_effort_too_a_witness_ends_with_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "EFFORT", 0)
    finding = judge(Register(), (0, 0, "write", 9, None, INFO), *writes_and_a_lie(4))
    assert finding.details["witnesses"][0]["until"] == 101


def test_without_effort_what_is_plain_has_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(witness, "EFFORT", 0)
    finding = judge(Register(), (0, 1, "write", 1), (2, 3, "read", None, 5), (4, 5, "read", None, 1))
    assert finding.details["witnesses"][0]["stuck"] == 2


def test_what_was_answered_later_is_of_no_account() -> None:
    finding = judge(Register(), (0, 1, "write", 1), (2, 3, "write", 2), (4, 5, "read", None, 1), (6, 7, "write", 1))
    assert finding.anomalies[0].operations == (1, 2, 3)


@pytest.mark.parametrize(("number", "words"), [(8, ", 'h': no order"), (9, ", 'h', ..: no order")])
def test_of_many_keys_some_are_named(number: int, words: str) -> None:
    keys = "abcdefghi"[:number]
    write = tuple(("w", key, 1) for key in keys)
    rows: list[Row] = [
        (0, 1, "txn", write, (None,) * number),
        (2, 3, "txn", (("r", "a", None),), (7,)),
    ]
    assert words in judge(Transactions(), *rows).words


def test_calls_keys_and_states_may_be_worded_otherwise() -> None:
    wording = Wording(call=lambda call: f"call {call.op}", value=lambda value: f"<{value}>")
    history = calls((0, 1, "write", 1), (2, 3, "read", None, 5))
    finding = check(history, model=Register(), wording=wording)
    assert finding.words == (
        "Register <k>: no order explains call 2, whenever before its return one other call that was answered until "
        "then happened. The longest order found has 1 calls, ends with call 1 and leaves <a value that no call looks "
        "for>; call 2 has no place after it."
    )
    (facts,) = finding.details["witnesses"]
    assert (facts["keys"], facts["state"]) == (["<k>"], "<a value that no call looks for>")
    undecided = check(history, model=Register(), wording=wording, limit_s=0)
    assert undecided.words.endswith(" in 0 s: <k>.")


def test_effort_counts_calls_and_configurations_until_it_is_tired(monkeypatch: pytest.MonkeyPatch) -> None:
    free, *told = calls((0, 1, "write", 5), (2, 3, "write", 1), (4, 5, "write", 2), (6, 7, "read", None, 1))
    case = Case(keys=("k",), calls=told, free=(free,))
    search, found = Effort(Register(), deadline=FOREVER).search(case)
    assert found is False
    cost = len(told) + 1 + search.configurations
    for effort, tired in ((cost, True), (cost + 1, False)):
        monkeypatch.setattr(witness, "EFFORT", effort)
        tries = Effort(Register(), deadline=FOREVER)
        assert tries.refutes(case) is True
        assert (tries.refutes(case) is None) is tired


def test_when_it_is_late_nothing_more_is_laid_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which takes long itself, of many calls, and no search would go on with it."""
    case = Case(keys=("k",), calls=calls((0, 1, "write", 1), (2, 3, "read", None, 2)))
    laid_out: list[Case] = []
    monkeypatch.setattr(witness, "search_for", lambda case, _: laid_out.append(case))
    assert Effort(Register(), deadline=monotonic() - 1).refutes(case) is None
    assert laid_out == []


@pytest.mark.parametrize(("limit_s", "until_s"), [(1.0, GRACE_S), (60.0, 60.0)])
def test_what_is_found_late_is_explained_for_a_while_all_the_same(
    monkeypatch: pytest.MonkeyPatch, limit_s: float, until_s: float
) -> None:
    deadlines: list[float] = []

    def effort(model: Model, *, deadline: float) -> Effort:
        deadlines.append(deadline)
        return Effort(model, deadline=deadline)

    monkeypatch.setattr(linearizable, "Effort", effort)
    begin = monotonic()
    assert check(calls((0, 1, "write", 1), (2, 3, "read", None, 2)), model=Register(), limit_s=limit_s).anomalies
    end = monotonic()
    (deadline,) = deadlines
    assert begin + until_s <= deadline <= end + until_s


@pytest.mark.parametrize(("number", "named"), [(1, True), (2, True), (3, False)])
def test_calls_that_left_what_was_met_are_named_where_they_are_few(number: int, named: bool) -> None:
    writes: list[Row] = [(2 * at, 2 * at + 1, "write", 1) for at in range(number)]
    finding = judge(Register(), *writes, (20, 21, "write", 2), (22, 23, "read", None, 1))
    (anomaly,) = finding.anomalies
    core = (number + 1, number + 2)
    assert anomaly.operations == (*range(1, number + 1), *core) if named else core
    assert ("among them" in finding.words) is named


def test_only_what_the_last_answer_met_is_traced_back() -> None:
    """Not what an unknown call may have met, which takes part because it happens once at most."""
    finding = judge(
        Register(),
        (0, 1, "write", 1),
        (2, 2, "cas", (1, 2), None, INFO),
        (3, 4, "read", None, 2),
        (5, 6, "write", 1),
        (7, 8, "read", None, 2),
    )
    assert finding.anomalies[0].operations == (2, 3, 4, 5)
    assert "whenever before its return one other call that was answered until then happened" in finding.words


@pytest.mark.parametrize("number", range(3, 20))
def test_a_witness_ends_with_the_first_answer_until_which_there_is_no_order(number: int) -> None:
    """Also where the search stopped earlier, because of what this answer needs."""
    later: list[Row] = [(200 + at, 200 + at, "write", 50 + at) for at in range(7)]
    finding = judge(Register(), *writes_and_a_lie(number), *later)
    (facts,) = finding.details["witnesses"]
    assert (facts["until"], facts["stuck"], facts["exact"]) == (101, number, True)


@pytest.mark.parametrize("name", ["register", "lock", "text", "store"])
def test_no_call_of_a_core_can_be_let_go(name: str) -> None:
    thing, examined = OBJECTS[name], 0
    for seed in range(3_000):
        for case in partition(history(thing, Random(seed)), thing.model):  # noqa: S311  histories
            search = search_for(case, thing.model)
            if search.conflict or search.run(configurations=10_000, deadline=FOREVER):
                continue
            found = explain(case, search, Effort(thing.model, deadline=FOREVER))
            core = {call.op for call in found.core}
            loose = [call for call in until(case, found.until) if not thing.model.reads(call)]
            for op in core if len(core) > 1 else ():
                fewer = [call for call in found.core if call.op != op]
                free = tuple(call for call in loose if call.op not in core - {op})
                less = search_for(replace(case, calls=fewer, free=free), thing.model)
                assert less.run(configurations=10_000, deadline=FOREVER), (seed, op)
                examined += 1
    assert examined > 50


def until(case: Case, moment: int) -> list[Call]:
    """The calls that had begun; nobody knows of those under way whether they happened."""
    begun = [call for call in case.calls if call.invoke <= moment]
    return [call if call.complete <= moment else replace(call, outcome=INFO) for call in begun]
