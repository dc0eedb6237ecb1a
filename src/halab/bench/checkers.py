"""`python -m halab.bench.checkers`: what a verdict costs, by checker and length of history.

Each figure comes from a process of its own: the history of a correct system is simulated there, then checked `RUNS`
times, and the least processor time counts, as everything above it is the machine's.
"""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Final

import click

from halab.bench.table import table
from halab.consistency import (
    append,
    atomic_commit,
    bank,
    counter,
    linearizable,
    long_fork,
    models,
    monotonic,
    primaries,
    queue,
    register,
    rowset,
    staleness,
    unique,
    work_queue,
)
from halab.consistency.finding import Finding
from halab.consistency.operation import SECOND
from halab.consistency.simulation import bank as transfers
from halab.consistency.simulation import commits, forks, ids, objects, registers, rowsets, sessions, transactions, work
from halab.consistency.simulation import counter as increments
from halab.consistency.simulation import primaries as reigns
from halab.consistency.simulation import queue as elements
from halab.consistency.simulation.calls import Load
from halab.verdict import Status, compose

RUNS: Final = 3
SIZES: Final = (10_000, 100_000, 1_000_000)
CLIENTS: Final = 10
UNKNOWN: Final = 0.01
VALUES: Final = 5
"""So few values of a register make many reads explicable by many writes, which is what makes the search hard."""
HEADER: Final = ("checker", "history", *(f"{size:,}" for size in SIZES), "for ten times as many")
GOALS_HEADER: Final = ("what", "goal, s", "measured, s", "peak memory, MiB")

Check = Callable[[], Finding]


@dataclass(frozen=True, slots=True)
class Case:
    """`make` simulates a history of so many operations and returns the check of it."""

    checker: str
    history: str
    make: Callable[[int], Check]


@dataclass(frozen=True, slots=True)
class Cost:
    """Processor seconds of the best run, the most memory that the process ever held, and what the checker said."""

    seconds: float
    peak_mib: float
    status: Status

    def __str__(self) -> str:
        figure = f"{self.seconds:.2f}" if self.seconds >= 0.095 else f"{self.seconds:.3f}"
        return figure if self.status is Status.VALID else f"{figure} ({self.status.name})"


@dataclass(frozen=True, slots=True)
class Goal:
    """All of `parts`, each a case and its size, together take less than `seconds`."""

    what: str
    seconds: float
    parts: tuple[tuple[Case, int], ...]


def _load(operations: int, *, unknown: float = UNKNOWN) -> Load:
    return Load(operations=operations, clients=CLIENTS, unknown=unknown, refused=0.0, seed=1)


def _rowset(operations: int, *, reads: int = 0) -> Check:
    adds, seen = rowsets.simulate(additions=operations, reads=reads, clients=CLIENTS, seed=1, lag_ns=10_000_000)
    return partial(rowset.check, adds, seen)


def _register(operations: int, *, keys: int) -> Check:
    return partial(register.check, registers.simulate(operations=operations, keys=keys, clients=CLIENTS, seed=1))


def _primaries(operations: int) -> Check:
    return partial(primaries.check, reigns.simulate(acknowledgements=operations, clients=CLIENTS, seed=1))


def _append(operations: int) -> Check:
    plan = transactions.Plan(transactions=operations, clients=CLIENTS, keys=10, unknown=UNKNOWN, seed=1)
    return partial(append.check, transactions.simulate(transactions.Model.SERIALIZABLE, plan))


def _linearizable(operations: int, *, keys: int, turn: int | None = None, unknown: float = 0.0) -> Check:
    make = partial(objects.SimulatedRegister, values=VALUES)
    calls = objects.simulate(_load(operations, unknown=unknown), make, keys=keys, turn=turn)
    return partial(linearizable.check, calls, model=models.Register())


def _bank(operations: int) -> Check:
    history = transfers.simulate(_load(operations))
    return partial(bank.check, history.transfers, history.reads, opening=history.opening, final=history.final)


def _counter(operations: int) -> Check:
    history = increments.simulate(_load(operations))
    return partial(counter.check, history.increments, history.reads, final=history.final)


def _queue(operations: int) -> Check:
    history = elements.simulate(_load(operations))
    return partial(queue.check, history.enqueues, history.dequeues, remaining=history.remaining)


def _unique(operations: int) -> Check:
    return partial(unique.check, ids.simulate(_load(operations)), ordered=True)


def _monotonic(operations: int) -> Check:
    history = sessions.simulate(_load(operations), keys=100)
    return partial(monotonic.check, history.reads, history.writes)


def _staleness(operations: int) -> Check:
    history = sessions.simulate(_load(operations), keys=100, blind=True)
    return partial(staleness.check, history.reads, history.writes, bound_s=history.lag / SECOND, order="time")


def _long_fork(operations: int) -> Check:
    history = forks.simulate(_load(operations))
    return partial(long_fork.check, history.writes, history.reads)


def _atomic_commit(operations: int) -> Check:
    history = commits.simulate(_load(operations))
    return partial(atomic_commit.check, history.transactions, history.participants)


def _work(operations: int) -> Check:
    history = work.simulate(_load(operations))
    return partial(work_queue.check, history.work, final=history.final, lease_s=work.LEASE_S)


SET: Final = Case("set", "additions and a final read", _rowset)
REGISTER: Final = Case("register", "1,000 keys", partial(_register, keys=1_000))
PRIMARIES: Final = Case("single_primary", "10 promotions", _primaries)
APPEND: Final = Case("append", "transactions of 2 to 4 steps", _append)
SPREAD: Final = Case("linearizable", "registers with CAS, 100 keys", partial(_linearizable, keys=100))
CASES: Final = (
    SET,
    Case("set", "and 100 reads of lagging replicas", partial(_rowset, reads=100)),
    Case("register", "100 keys", partial(_register, keys=100)),
    REGISTER,
    PRIMARIES,
    APPEND,
    SPREAD,
    Case("bank", "8 accounts", _bank),
    Case("counter", "steps of 1, 2 and -1", _counter),
    Case("queue", "half of them dequeues", _queue),
    Case("unique", "ordered", _unique),
    Case("monotonic", "4 guarantees, 100 keys", _monotonic),
    Case("staleness", "by time, 100 keys", _staleness),
    Case("long fork", "groups of 3 keys", _long_fork),
    Case("atomic_commit", "4 participants", _atomic_commit),
    Case("work queue", "with take-overs", _work),
)
GOALS: Final = (
    Goal(
        "set, register and single_primary together, 1,000,000 operations each",
        3.0,
        ((SET, 1_000_000), (REGISTER, 1_000_000), (PRIMARIES, 1_000_000)),
    ),
    Goal("append, 500,000 transactions (in less than 2 GB)", 6.0, ((APPEND, 500_000),)),
    Goal("linearizable, 100,000 operations over 100 keys, 10 clients", 0.6, ((SPREAD, 100_000),)),
    Goal(
        "linearizable, 100,000 operations, 10 clients on one key at a time, 1,000 a key, a third CAS",
        8.0,
        ((Case("linearizable", "one key at a time", partial(_linearizable, keys=1_000, turn=1_000)), 100_000),),
    ),
    Goal(
        "linearizable, 2,000 operations of 10 clients on one key, 1 % unknown",
        2.0,
        ((Case("linearizable", "one key", partial(_linearizable, keys=1, unknown=UNKNOWN)), 2_000),),
    ),
)


def measure(case: Case, operations: int, *, runs: int = RUNS) -> Cost:
    """The cost of checking one history, in a process of its own."""
    spawn = multiprocessing.get_context("spawn")  # a forked one would begin with our memory
    with ProcessPoolExecutor(max_workers=1, mp_context=spawn) as pool:
        return pool.submit(_measure, case.make, operations, runs).result()


def _measure(make: Callable[[int], Check], operations: int, runs: int) -> Cost:
    check = make(operations)
    least = float("inf")
    for _ in range(runs):
        begin = time.process_time()
        finding = check()
        least = min(least, time.process_time() - begin)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return Cost(least, peak_kib / 1024, finding.status)


def rows(
    cases: Sequence[Case] = CASES, *, sizes: Sequence[int] = SIZES, runs: int = RUNS
) -> Iterator[tuple[object, ...]]:
    """For `HEADER`: the cost of each case at all sizes, and how it grew over the last tenfold."""
    for case in cases:
        costs = [measure(case, size, runs=runs) for size in sizes]
        grown = f"x {costs[-1].seconds / costs[-2].seconds:.1f}" if len(costs) > 1 else "-"
        yield (case.checker, case.history, *costs, grown)


def goals(wanted: Sequence[Goal] = GOALS, *, runs: int = RUNS) -> Iterator[tuple[object, ...]]:
    """For `GOALS_HEADER`: what was promised, and what was measured."""
    for goal in wanted:
        costs = [measure(case, size, runs=runs) for case, size in goal.parts]
        status = compose(cost.status for cost in costs)
        whole = Cost(sum(cost.seconds for cost in costs), max(cost.peak_mib for cost in costs), status)
        yield (goal.what, f"{goal.seconds:g}", whole, f"{whole.peak_mib:.0f}")


def section(
    cases: Sequence[Case] = CASES, wanted: Sequence[Goal] = GOALS, *, sizes: Sequence[int] = SIZES, runs: int = RUNS
) -> str:
    """Both tables and how to read them: the body of a section of docs/benchmarks.md."""
    header = (*HEADER[:2], *(f"{size:,}" for size in sizes), HEADER[-1])
    note = (
        f"Processor seconds of one core, the best of {runs}; memory is that of the whole process with the history. "
        f"Operations are transactions where the checker judges those. Simulated histories of {CLIENTS} clients, "
        f"{UNKNOWN:.0%} of the outcomes unknown (none in histories of registers with CAS, unless said otherwise)."
    )
    promised, costs = goals(wanted, runs=runs), rows(cases, sizes=sizes, runs=runs)
    return f"{table(GOALS_HEADER, promised)}\n{table(header, costs)}\n{note}\n"


@click.command()
@click.option("--runs", default=RUNS, help="The best of so many counts.")
@click.option("--largest", default=SIZES[-1], help="Leave longer histories of the table out.")
def main(runs: int, largest: int) -> None:
    """Print both tables."""
    click.echo(section(sizes=[size for size in SIZES if size <= largest], runs=runs))


if __name__ == "__main__":
    main()
