"""What the search remembers of the calls under way is small, and of the right kind."""

from __future__ import annotations

from tests.unit.consistency.test_linearizable import Row, calls

from halab.consistency.columns import INFO, NEVER
from halab.consistency.linear.case import Case, partition
from halab.consistency.linear.spans import Spans
from halab.consistency.linear.timeline import EVEN, ODD, Timeline
from halab.consistency.models import Queue, Register
from halab.consistency.simulation.calls import Load
from halab.consistency.simulation.objects import SimulatedQueue, simulate


def laid_out(*rows: Row, free: int = 0) -> Timeline:
    """The last `free` of the calls may happen any often."""
    told = calls(*rows)
    case = Case(keys=("k",), calls=told[: len(told) - free], free=tuple(told[len(told) - free :]))
    model = Register()
    return Timeline(case, model, model.frame(case.calls, case.free))


def test_a_call_that_nothing_overlaps_has_the_first_bit_of_its_kind_whatever_overlapped_before() -> None:
    lone = [(0, 1, "write", 1), (2, 3, "read", None, 1)]
    beside = [(4, 6, "write", 2), (5, 7, "write", 3)]
    again = [(8, 9, "write", 1), (10, 11, "read", None, 1)]
    bits = laid_out(*lone, *beside, *again).bits
    assert (bits[:2], bits[4:]) == ([ODD, EVEN], [ODD, EVEN])
    assert {ODD, EVEN}.isdisjoint(bits[2:4])


def test_bits_are_given_back_so_that_their_number_is_that_of_the_calls_under_way() -> None:
    rows: list[Row] = [(2 * at, 2 * at + 3, "write", at) for at in range(100)]
    assert max(laid_out(*rows).bits).bit_length() <= 2 * 3


def test_what_need_not_happen_has_an_even_bit_as_less_of_it_is_better() -> None:
    line = laid_out((0, 9, "write", 1), (1, 1, "write", 2, None, INFO), (2, 2, "write", 3, None, INFO))
    assert all(bit.bit_length() % 2 for bit in line.bits[1:])
    assert [number for entries in line.optional.values() for _, _, _, number in entries] == [1, 2]
    assert line.movers == [()]


def test_of_free_calls_of_a_class_only_the_last_can_stop_the_search() -> None:
    reads: list[Row] = [(4, 5, "read", None, 7), (4, 6, "read", None, 8)]
    line = laid_out(*reads, (0, 1, "write", 7), (0, 2, "write", 7), (0, 3, "write", 8), free=3)
    assert line.owed == [True, False, False, True, True]


def test_what_comes_after_a_return_ends_with_the_least_last_of_what_is_invoked_later() -> None:
    for seed in range(20):
        told = simulate(Load(operations=60, clients=4, unknown=0.05, refused=0, seed=seed), SimulatedQueue)
        model = Queue()
        (case,) = partition(told, model)
        frame = model.frame(case.calls)
        line = Timeline(case, model, frame)
        spans = Spans.of(line, frame)
        assert spans
        known = [*zip(line.since, spans.last, strict=True)][: line.size]
        assert spans.later == [
            min((last for since, last in known if since > i), default=NEVER) for i in range(line.size + 1)
        ]
