"""The simulators: times are possible, unknown effects come late or never, a seed decides everything."""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import given
from tests.unit.consistency.loads import LOADS, examples

from halab.consistency.columns import FAIL, INFO, NEVER, OK
from halab.consistency.simulation import bank, commits, counter, forks, ids, queue, sessions, work
from halab.consistency.simulation.calls import Client, Load, Refused, Reply, Unanswered, World

BUSY = Load(operations=2_000, clients=5, unknown=0.2, refused=0.1, seed=3)


class Recorder:
    """Clients that note when their effects happened."""

    def __init__(self, load: Load) -> None:
        self.world = World(load)
        self.effects: dict[int, int] = {}
        self.replies: list[tuple[int, Reply]] = []

    def happen(self, number: int, until: int) -> int:
        assert until >= self.world.now
        self.effects[number] = self.world.now
        if number % 10 == 3:
            raise Refused
        if number % 10 == 4:
            raise Unanswered
        return number

    def client(self, first: int) -> Client:
        for number in range(first, 10**9, 1_000_000):
            reply = yield partial(self.happen, number)
            self.replies.append((number, reply))

    def run(self) -> None:
        self.world.run([self.client(10 * client + client % 7) for client in range(self.world.load.clients)])


@pytest.fixture(scope="module")
def recorded() -> Recorder:
    recorder = Recorder(BUSY)
    recorder.run()
    return recorder


def test_all_outcomes_occur_in_their_shares(recorded: Recorder) -> None:
    outcomes = Counter(reply.outcome for _, reply in recorded.replies)
    assert sum(outcomes.values()) == BUSY.operations
    assert all(outcomes[each] > 100 for each in (OK, FAIL, INFO))


def test_effects_happen_while_their_calls_are_under_way(recorded: Recorder) -> None:
    for number, reply in recorded.replies:
        at = recorded.effects.get(number)
        if reply.outcome == OK:
            assert at is not None
            assert reply.invoke <= at <= reply.complete
            assert (reply.ok, reply.value) == (True, number)
        else:
            assert (reply.ok, reply.value) == (False, None)
        if reply.outcome == INFO:
            assert reply.complete == NEVER
            assert at is None or at >= reply.invoke


def test_what_is_unknown_happens_late_or_never(recorded: Recorder) -> None:
    unknown = [(reply, recorded.effects.get(number)) for number, reply in recorded.replies if reply.outcome == INFO]
    assert sum(at is None for _, at in unknown) > 50
    following = sorted(reply.invoke for _, reply in recorded.replies)
    assert sum(at is not None and at > following[-1] // 2 + reply.invoke // 2 for reply, at in unknown) > 5


def test_a_process_has_one_call_at_a_time_and_none_after_an_unknown_one(recorded: Recorder) -> None:
    last: dict[int, Reply] = {}
    for _, reply in sorted(recorded.replies, key=lambda pair: pair[1].invoke):
        before = last.get(reply.process)
        assert before is None or before.complete <= reply.invoke
        last[reply.process] = reply
    assert len(last) > BUSY.clients
    ops = [reply.op for _, reply in recorded.replies]
    assert len(set(ops)) == len(ops)


def test_a_last_call_comes_after_everything_that_was_answered(recorded: Recorder) -> None:
    last = recorded.world.ask(lambda until: until)
    answered = [reply.complete for _, reply in recorded.replies if reply.outcome != INFO]
    assert last.invoke > max(answered)
    assert last.complete == last.value >= last.invoke
    assert last.ok


@examples(15)
@given(LOADS)
def test_a_seed_decides_everything(load: Load) -> None:
    for simulate in (
        bank.simulate,
        commits.simulate,
        counter.simulate,
        forks.simulate,
        ids.simulate,
        queue.simulate,
        sessions.simulate,
        work.simulate,
    ):
        assert simulate(load) == simulate(load), simulate.__module__


def test_another_seed_is_another_history() -> None:
    assert counter.simulate(Load(seed=1)) != counter.simulate(Load(seed=2))


def test_clients_overlap() -> None:
    increments = counter.simulate(Load(operations=500)).increments
    overlapping = sum(later.invoke < earlier.complete for earlier, later in pairwise(increments))
    assert overlapping > 200
