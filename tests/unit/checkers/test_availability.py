"""Time without service: whose it is, what else is told of a route, and what clients that stopped asking say of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.unit.checkers.handmade import CONTEXT, POWER, Parts, bounded, fault, history, look, read, write, writes
from tests.unit.checkers.handmade_workload import Workload
from tests.unit.checkers.simulate import at

from halab.checkers import PlannedLoad
from halab.checkers.availability import check
from halab.history import Opaque, Record
from halab.promises import judge
from halab.verdict import Status

BANK = Workload("bank")


def transfer(op: int, begin: float, end: float, **changes: Any) -> list[Record]:
    return BANK.operation(5_000_000 + op, "transfer", begin=at(begin) / 1e9, end=at(end) / 1e9, **changes)


def in_vain(begin: int, end: int) -> list[Record]:
    """One write a second that is refused after half of it."""
    return [
        record for second in range(begin, end) for record in write(9000 + second, second, second + 0.5, outcome="fail")
    ]


def route(*parts: Parts, name: str = "write", load: tuple[float, float] = (0, 60)) -> Any:
    return check(history(*parts, load=load), CONTEXT).details["routes"][name]


# --- what counts ------------------------------------------------------------------------------------------------------
def test_thirty_seconds_are_too_many_where_nothing_else_is_said() -> None:
    assert check(history(write(1, 0, 1), write(2, 2, 31), load=(0, 31)), CONTEXT).status is Status.INVALID
    assert check(history(write(1, 0, 1), write(2, 2, 30.999), load=(0, 31)), CONTEXT).status is Status.VALID


def test_the_worst_route_decides() -> None:
    reads = [read(second, second + 0.1) for second in (0, 20, 27, 55)]
    moves = [transfer(second, second, second + 0.1) for second in range(0, 60, 10)]
    verdict = check(history(writes(0, 60), reads, moves), CONTEXT)
    assert verdict.measured == pytest.approx(28)
    assert verdict.witness == (
        "Route read was without an acknowledgement for 28.000 s from +27.100 s. "
        "Operations that succeeded: write 100.00 %, read 100.00 %, bank write 100.00 %."
    )


def test_only_what_was_begun_in_the_load_counts() -> None:
    outside = [write(900, -1, 0, outcome="fail"), transfer(900, 60.001, 60.1, client="resolver-bank", outcome="fail")]
    assert route(writes(0, 60), outside)["operations"] == 600
    edges = [write(901, 0, 1, outcome="fail"), write(902, 60, 61, outcome="fail")]
    assert route(writes(0, 60), outside, edges)["operations"] == 602
    assert [*check(history(writes(0, 60), outside), CONTEXT).details["routes"]] == ["write"]


def test_a_route_that_was_never_served_is_not_known() -> None:
    refused = [read(second, second + 0.1, outcome="fail") for second in range(60)]
    verdict = check(history(writes(0, 60), refused, transfer(1, 1, 59, outcome=None)), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    assert verdict.witness == "Nothing was ever acknowledged on route read, bank write."
    assert verdict.details["routes"]["read"]["latency_ms"] == {"before": None, "during": None, "after": None}


def test_without_a_load_nothing_is_known() -> None:
    assert check(history(writes(0, 60), load=None), CONTEXT).status is Status.UNKNOWN


# --- which gaps -------------------------------------------------------------------------------------------------------
SHARP = fault({"planned": 10, "injected": 10, "healed": 20, "gone": 21})
STEADY = writes(19, 60, first=1000)


@pytest.mark.parametrize(("answered", "begin"), [(10, 10), (10.001, 0)])
def test_gaps_that_end_after_the_fault_began_count(answered: float, begin: float) -> None:
    found = route(SHARP, write(1, 0, answered), STEADY)
    assert (found["from_s"], found["longest_s"]) == (begin, pytest.approx(19.001 - begin if begin else 10.001))


@pytest.mark.parametrize("second", [60, 70])
def test_a_fault_after_the_load_divides_nothing(second: int) -> None:
    late = fault({"planned": second, "injected": second})
    found = route(writes(0, 10), writes(40, 60, first=500), late)
    assert found["longest_s"] == pytest.approx(40.001 - 9.901)
    assert found["latency_ms"]["during"] is found["latency_ms"]["after"] is None


def test_answers_after_the_load_end_no_gap_within_it() -> None:
    found = route(writes(0, 40), write(1000, 50, 70))
    assert (found["longest_s"], found["until"]) == (pytest.approx(60 - 39.901), "the last attempt")


def test_where_nobody_asked_after_the_fault_there_is_no_gap() -> None:
    late = fault({"planned": 58, "injected": 58})
    assert route(writes(0, 5), writes(17, 57, first=500), late)["longest_s"] == 0


# --- the last attempt -------------------------------------------------------------------------------------------------
def test_clients_that_fell_silent_prove_nothing() -> None:
    verdict = check(history(writes(0, 20), fault(POWER)), CONTEXT)
    assert verdict.status is Status.UNKNOWN
    assert "The clients of route write fell silent" in verdict.witness


def test_all_routes_that_fell_silent_are_named() -> None:
    moves = [transfer(second, second, second + 0.1) for second in range(60)]
    verdict = check(history(writes(0, 20), [read(second, second + 0.1) for second in range(50)], moves), CONTEXT)
    assert verdict.witness == "The clients of route write, read fell silent before the load was stopped."


def test_clients_that_keep_asking_in_vain_prove_an_outage() -> None:
    verdict = check(history(writes(0, 20), in_vain(20, 60), fault(POWER)), CONTEXT)
    assert verdict.status is Status.INVALID
    assert verdict.measured == pytest.approx(59.5 - 19.901)
    assert verdict.details["routes"]["write"]["until"] == "the last attempt"


def test_silence_does_not_excuse_an_outage_that_was_seen() -> None:
    parts = (writes(0, 10), in_vain(10, 45))
    broken = check(history(parts), CONTEXT)
    assert (broken.status, broken.measured) == (Status.INVALID, pytest.approx(44.5 - 9.901))
    assert check(history(parts), bounded("availability", "<", 40)).status is Status.UNKNOWN


def test_slow_clients_are_not_silent() -> None:
    slow = [write(second, second, second + 0.01) for second in range(0, 56, 8)]
    assert check(history(slow, fault(POWER)), CONTEXT).status is Status.VALID


@pytest.mark.parametrize(
    ("begun", "stop", "status"),
    [
        ((0,), 6, Status.VALID),
        ((0,), 6.000001, Status.UNKNOWN),
        ((0, 4, 5), 14, Status.VALID),
        ((0, 4, 5), 14.000001, Status.UNKNOWN),
    ],
)
def test_silence_is_five_seconds_or_twice_the_longest_pause(
    begun: tuple[float, ...], stop: float, status: Status
) -> None:
    asked = [write(number, begin, begin + 1) for number, begin in enumerate(begun)]
    assert check(history(asked, load=(0, stop)), CONTEXT).status is status


def test_what_was_lost_with_a_killed_client_is_no_outage() -> None:
    """One of two writers is killed; the other goes on until the recorder ends the load four seconds later."""
    killed = [write(8000, 0, 1, client="writer-2"), write(9000, 19.9, 19.95, client="writer-2")]
    parts = (writes(0, 24), killed, fault(POWER), Opaque(kind="interrupted", fields={"t": at(20.2)}))
    context = replace(
        bounded("availability", "<", 3), load=PlannedLoad(writers=2, write_rate=5, readers=0, read_rate=0)
    )
    verdict = judge(replace(history(parts, load=(0, 24)), torn="line 9 was cut short"), context).promises[0]
    assert verdict.status is Status.UNKNOWN, verdict.witness
    assert verdict.measured == pytest.approx(0.1)


# --- what else is told ------------------------------------------------------------------------------------------------
def test_what_is_told_of_a_route() -> None:
    """Two answers before the fault, none during it and one after it; another operation is refused."""
    steps = fault({"planned": 3, "injected": 3, "gone": 8.5})
    parts = (
        write(1, 1, 1.1), write(2, 2, 2.3001236), write(3, 3.0000004, 8.3333333, outcome="fail"),
        write(4, 9, 9.2000004), write(5, 9.5, 9.7654321, outcome="info"),
    )  # fmt: skip
    assert route(steps, parts, load=(0, 12)) == {
        "operations": 5,
        "ok": 3,
        "succeeded_percent": 60.0,
        "longest_s": 6.899877,
        "from_s": 2.300124,
        "until": "+9.200 s",
        "pause_s": 6.0,
        "silent_s": 2.234568,
        "latency_ms": {
            "before": {"p50": 200.062, "p95": 290.117, "p99": 298.122},
            "during": None,
            "after": {"p50": 200.0, "p95": 200.0, "p99": 200.0},
        },
    }


def test_shares_are_of_thousandths_of_a_percent() -> None:
    assert route(writes(0, 59), in_vain(59, 60))["succeeded_percent"] == 99.831


def test_faults_divide_the_load_until_all_are_over() -> None:
    """Latencies tell which operation is in which part: each took as many milliseconds as the second it began in."""
    asked = [write(second, second, second + second / 1000) for second in range(1, 60)]

    def medians(*faults: Parts) -> list[float | None]:
        found = route(asked, faults)["latency_ms"]
        return [found[phase] and found[phase]["p50"] for phase in ("before", "during", "after")]

    other = fault({"planned": 15, "injected": 15, "healed": 30}, name="other")
    assert medians() == [30, None, None]
    assert medians(SHARP) == [5, 15, 40]
    assert medians(SHARP, other) == [5, 19.5, 44.5]
    assert medians(SHARP, fault({"planned": 15, "injected": 15}, name="never healed")) == [5, 34.5, None]
    assert medians(SHARP, fault({"planned": 15}, name="never begun")) == [5, 15, 40]


def test_the_outage_of_writes_is_split() -> None:
    parts = (writes(0, 10), SHARP, writes(22, 60, first=1000, server="pg2", timeline=2))
    details = check(history(parts), CONTEXT).details
    assert details["write_split"] == {"detected": pytest.approx(12.1), "promoted": 0, "routed": 0}
    assert "write_split" not in check(history([read(n, n + 0.1) for n in range(60)]), CONTEXT).details


def test_redundancy_is_restored_when_every_node_is_back() -> None:
    again = fault({"planned": 30, "injected": 30, "healed": 31}, name="again", target="pg2")
    one, two = look("pg1", 25, role="replica", takes=0), look("pg2", 35, role="replica", takes=0)

    def restored(*parts: Parts) -> Any:
        return check(history(writes(0, 60), parts), CONTEXT).details["redundancy_restored_s"]

    assert restored(SHARP, one) == 5
    assert restored(SHARP, again, one) is None
    assert restored(SHARP, again, one, two) == 5
    assert restored(fault(POWER, target="etcd1")) is None
