"""Honest failovers keep every promise; each with one thing changed is caught by the checker that it concerns."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.checkers.simulate import Plan, at, simulate_failover

from halab.checkers import Context, PlannedLoad
from halab.history import Complete, FaultEvent, FinalRead, History, Invoke, Observation, Phase, Record
from halab.promises import CHECKERS, judge, parse_bounds
from halab.verdict import Status

Mutation = Callable[[list[Record], Plan, Random], list[Record]]
RUNS = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    kill = draw(st.floats(5, 8))
    detected = kill + draw(st.floats(0.5, 6))
    promoted = detected + draw(st.floats(0.1, 2))
    routed = promoted + draw(st.floats(0.1, 2))
    power_back = routed + draw(st.floats(1, 6))
    streaming = power_back + draw(st.floats(3, 8))
    return Plan(
        writers=draw(st.integers(2, 5)), readers=draw(st.integers(2, 6)), kill=kill, detected=detected,
        promoted=promoted, routed=routed, power_back=power_back, streaming=streaming, stop=streaming + 6,
    )  # fmt: skip


# The simulated cluster has neither etcd nor Redis and no workload but the basic one; others have files of their own.
PLAYED = tuple(
    name
    for name, (promise, _) in CHECKERS.items()
    if name not in ("etcd_leader", "redis_failover", "redis_agrees") and not promise.workload
)
# Told by the same records as single_primary and write_outage, so a change may break them too.
COMPANIONS = {"single_writer", "promotions", "availability"}


def context(plan: Plan) -> Context:
    """Every promise, with thresholds that the plan just keeps."""
    promises: dict[str, dict[str, float]] = {name: {} for name in PLAYED}
    promises["promotions"] = {"at_least": 1}
    promises["write_outage"] = {"below": plan.routed - plan.kill + 2.5}
    promises["rejoined"] = {"within": plan.streaming - plan.power_back + 1}
    promises["operations_ok"] = {"above": 85}
    load = PlannedLoad(writers=plan.writers, write_rate=plan.write_rate, readers=plan.readers, read_rate=plan.read_rate)
    return Context(nodes=plan.nodes, load=load, faults=1, bounds=parse_bounds(promises))


def verdicts(records: list[Record], plan: Plan) -> dict[str, Status]:
    judgement = judge(History.from_records(records), context(plan))
    return {verdict.name: verdict.status for verdict in judgement.promises}


@RUNS
@given(plan=plans(), seed=st.integers(0, 2**32))
def test_an_honest_failover_keeps_every_promise(plan: Plan, seed: int) -> None:
    records = simulate_failover(seed, plan)
    judgement = judge(History.from_records(records), context(plan))
    assert judgement.exit_code == 0, [verdict for verdict in judgement.promises if verdict.status is not Status.VALID]
    outage = next(verdict for verdict in judgement.promises if verdict.name == "write_outage")
    assert outage.measured is not None
    assert plan.routed - plan.kill <= outage.measured <= plan.routed - plan.kill + 2.5
    split = outage.details["split"]
    assert sum(split.values()) == pytest.approx(outage.measured, abs=1e-5)
    assert split["detected"] == pytest.approx(plan.detected - plan.kill, abs=1.1)
    assert split["promoted"] == pytest.approx(plan.promoted - plan.detected, abs=0.5)


def test_the_same_seed_gives_the_same_history() -> None:
    assert simulate_failover(3) == simulate_failover(3)
    assert simulate_failover(3) != simulate_failover(4)


# --- mutations --------------------------------------------------------------------------------------------------------
def acks(records: list[Record], *, after: float = 0.0, before: float = 1e9) -> list[tuple[int, Invoke, Complete]]:
    """Acknowledged appends that were invoked in a time, with the position of their completion."""
    invokes = {record.op: record for record in records if isinstance(record, Invoke) and record.f == "append"}
    return [
        (place, invokes[record.op], record)
        for place, record in enumerate(records)
        if isinstance(record, Complete)
        and record.type == "ok"
        and record.op in invokes
        and after <= (invokes[record.op].t - at(0)) / 1e9 < before
    ]


def with_rows(record: Record, change: Callable[[set[int]], set[int]]) -> Record:
    if not isinstance(record, FinalRead) or record.ids is None:
        return record
    rows = change({number for first, last in record.ids for number in range(first, last + 1)})
    return replace(record, ids=tuple((number, number) for number in sorted(rows)), count=len(rows))


def lose_a_row(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    value = int(str(random.choice(acks(records))[1].value))
    return [with_rows(record, lambda rows: rows - {value}) for record in records]


def lose_a_row_on_a_replica(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    value = int(str(random.choice(acks(records))[1].value))
    node = random.choice([plan.nodes[0], plan.nodes[2]])
    return [
        with_rows(record, lambda rows: rows - {value}) if getattr(record, "node", "") == node else record
        for record in records
    ]


def change_the_content_of_a_replica(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    return [
        replace(record, digest="0") if isinstance(record, FinalRead) and record.node == plan.nodes[2] else record
        for record in records
    ]


def forge_a_row(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    forged = 99_000_000_000 + random.randrange(1000)
    return [with_rows(record, lambda rows: rows | {forged}) for record in records]


def write_a_failed_row(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    invokes = {record.op: record for record in records if isinstance(record, Invoke) and record.f == "append"}
    failed = [r for r in records if isinstance(r, Complete) and r.type == "fail" and r.op in invokes]
    assume(failed)  # a short outage can meet no writer
    value = int(str(invokes[random.choice(failed).op].value))
    return [with_rows(record, lambda rows: rows | {value}) for record in records]


def repeat_a_row(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    return [
        replace(record, ids=(*record.ids, record.ids[-1]), count=record.count + _length(record.ids[-1]))
        if isinstance(record, FinalRead) and record.ids and record.count
        else record
        for record in records
    ]


def _length(ids: tuple[int, int]) -> int:
    return ids[1] - ids[0] + 1


def let_the_old_primary_acknowledge(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    first = min(done.t for _, _, done in acks(records, after=plan.routed))
    late = [entry for entry in acks(records, after=plan.routed) if entry[1].t > first]
    place, _, done = random.choice(late)
    return [*records[:place], replace(done, server=plan.nodes[0], timeline=1), *records[place + 1 :]]


def delay_an_old_acknowledgement(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    """Shift a whole operation of the old primary behind the first acknowledgement of the new one."""
    first = min(done.t for _, _, done in acks(records, after=plan.routed))
    _, invoke, done = random.choice(acks(records, before=plan.kill))
    shift = first + 1 - invoke.t + random.randrange(1_000_000_000)
    moved: list[Record] = [replace(invoke, t=invoke.t + shift), replace(done, t=done.t + shift)]
    return [record for record in records if record not in (invoke, done)] + moved


def swap_the_server(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    place, _, done = random.choice(acks(records))
    other = random.choice([node for node in plan.nodes if node != done.server])
    return [*records[:place], replace(done, server=other), *records[place + 1 :]]


def see_the_old_primary_writable(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    late = [
        place
        for place, record in enumerate(records)
        if isinstance(record, Observation)
        and record.source == "sql"
        and record.node == plan.nodes[0]
        and record.t > at(plan.routed + 0.5)
    ]
    place = random.choice(late)
    look = records[place]
    assert isinstance(look, Observation)
    forged = replace(look, ok=True, error=None, role="primary", timeline=1, in_recovery=False, writable=True)
    return [*records[:place], forged, *records[place + 1 :]]


def forget_where_writes_went(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    place, _, done = random.choice(acks(records))
    return [*records[:place], replace(done, server=None), *records[place + 1 :]]


def never_look_at_a_node(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    return [r for r in records if not (isinstance(r, Observation) and r.node == plan.nodes[2] and r.source == "sql")]


def never_resume(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    return _unanswered(records, {done.op for _, _, done in acks(records, after=plan.routed)})


def resume_late(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    return _unanswered(records, {done.op for _, _, done in acks(records, after=plan.routed, before=plan.routed + 3)})


def _unanswered(records: list[Record], hidden: set[int]) -> list[Record]:
    return [
        Complete(t=record.t, op=record.op, type="info", error="timeout: none")
        if isinstance(record, Complete) and record.op in hidden
        else record
        for record in records
    ]


def drop_fault(step: str) -> Mutation:
    def mutate(records: list[Record], plan: Plan, random: Random) -> list[Record]:
        return [record for record in records if not (isinstance(record, FaultEvent) and record.event == step)]

    mutate.__name__ = f"drop_{step}"
    return mutate


def never_stream_again(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    return [
        replace(record, state="no receiver")
        if isinstance(record, Observation) and record.node == plan.nodes[0] and record.state == "streaming"
        else record
        for record in records
    ]


def stay_on_the_old_timeline(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    return [
        replace(record, timeline=1)
        if isinstance(record, Observation) and record.node == plan.nodes[0] and record.timeline == 2
        else record
        for record in records
    ]


def rejoin_late(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    return [
        r
        for r in records
        if not (isinstance(r, Observation) and r.node == plan.nodes[0] and r.t > at(plan.power_back))
        or r.t > at(plan.streaming + 2)
    ]


def skip_final_read(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    return [r for r in records if not (isinstance(r, FinalRead) and r.node == plan.nodes[2])]


def skip_final_read_of_the_primary(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    return [r for r in records if not (isinstance(r, FinalRead) and r.role == "primary")]


def lag_at_the_end(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    return [replace(r, lag_s=6.0) if isinstance(r, FinalRead) and r.role == "replica" else r for r in records]


def fail_often(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    """Add twice as many refused reads as there are operations, so that no mix of clients can outweigh them."""
    invokes = [record for record in records if isinstance(record, Invoke)]
    reads = [invoke for invoke in invokes if invoke.f == "read"]
    first = max(invoke.op for invoke in invokes) + 1
    refused = [replace(reads[n % len(reads)], op=first + n) for n in range(2 * len(invokes))]
    ends = [Complete(t=invoke.t + 1, op=invoke.op, type="fail", error="refused: no server") for invoke in refused]
    return [*records, *refused, *ends]


def hardly_load(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    """Drop most of the writes before the fault, and their rows."""
    early = acks(records, before=plan.kill)
    gone = {done.op for number, (_, _, done) in enumerate(early) if number % 5}
    values = {invoke.value for _, invoke, done in early if done.op in gone}
    kept = [r for r in records if not (isinstance(r, Invoke | Complete) and r.op in gone)]
    return [with_rows(r, lambda rows: {row for row in rows if row not in values}) for r in kept]


def cut_short(records: list[Record], plan: Plan, random: Random) -> list[Record]:
    return [record for record in records if not (isinstance(record, Phase) and record.name == "end")]


BAD, OPEN = Status.INVALID, Status.UNKNOWN
LOAD = ("availability", "write_outage", "lost_writes", "single_primary", "operations_ok", "rows_equal", "lag")
MUTATIONS: list[tuple[Mutation, dict[str, Status]]] = [
    (lose_a_row, {"lost_writes": BAD}),
    (lose_a_row_on_a_replica, {"rows_equal": BAD}),
    (change_the_content_of_a_replica, {"rows_equal": BAD}),
    (forge_a_row, {"lost_writes": BAD}),
    (write_a_failed_row, {"lost_writes": BAD}),
    (repeat_a_row, {"lost_writes": BAD}),
    (let_the_old_primary_acknowledge, {"single_primary": BAD}),
    (delay_an_old_acknowledgement, {"single_primary": BAD}),
    (swap_the_server, {"single_primary": BAD}),
    (see_the_old_primary_writable, {"single_primary": BAD}),
    (forget_where_writes_went, {"single_primary": OPEN}),
    (never_look_at_a_node, {"single_primary": OPEN}),
    (never_resume, {"write_outage": BAD}),
    (resume_late, {"write_outage": BAD}),
    (drop_fault("observed"), {"fault_acted": OPEN}),
    (drop_fault("gone"), {"fault_gone": BAD}),
    (never_stream_again, {"rejoined": BAD}),
    (stay_on_the_old_timeline, {"rejoined": BAD}),
    (rejoin_late, {"rejoined": BAD}),
    (skip_final_read, {"rows_equal": OPEN, "lag": OPEN}),
    (skip_final_read_of_the_primary, {"lost_writes": OPEN, "rows_equal": OPEN, "lag": OPEN}),
    (lag_at_the_end, {"lag": BAD}),
    (fail_often, {"operations_ok": BAD}),
    (hardly_load, dict.fromkeys(LOAD, OPEN)),
    (cut_short, dict.fromkeys(PLAYED, OPEN)),
]
MAY_CHANGE: dict[str, set[str]] = {
    "delay_an_old_acknowledgement": {"write_outage"},
    "see_the_old_primary_writable": {"rejoined"},  # it may be the last look
    "never_resume": {*LOAD, "operations_ok"},
    "resume_late": {"operations_ok"},
}


@pytest.mark.parametrize(("mutate", "expected"), MUTATIONS, ids=[entry[0].__name__ for entry in MUTATIONS])
@RUNS
@given(plan=plans(), seed=st.integers(0, 2**32))
def test_one_change_is_found_by_the_checker_it_concerns(
    mutate: Mutation, expected: dict[str, Status], plan: Plan, seed: int
) -> None:
    found = verdicts(mutate(simulate_failover(seed, plan), plan, Random(seed)), plan)  # noqa: S311  repeatable
    changed = {name: status for name, status in found.items() if status is not Status.VALID}
    for name, status in expected.items():
        assert changed.get(name) is status, (name, changed)
    assert changed.keys() <= expected.keys() | COMPANIONS | MAY_CHANGE.get(mutate.__name__, set()), changed
