"""Clients that call a system one operation after the other, several at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from halab.consistency.columns import FAIL, INFO, OK, Integers

MEAN_NS = 1_000_000
GIVES_UP_NS = 20_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """When each call began and ended, what the client was told, when it took effect, and whether it did.

    An unknown outcome retires the logical client: its next call comes from a new process.
    """

    process: Integers
    invoke: Integers
    complete: Integers
    outcome: Integers
    effect: Integers
    acted: npt.NDArray[np.bool_]


def calls(random: np.random.Generator, *, count: int, clients: int, unknown: float, failed: float) -> Calls:
    """`count` calls, spread evenly over `clients`, with exponential pauses and durations of a millisecond.

    What is told as unknown took effect before or after the client gave up, even long after, or (half of them) never.
    """
    client = np.arange(count) % clients
    outcome = random.choice([OK, FAIL, INFO], count, p=[1 - unknown - failed, failed, unknown]).astype(np.int64)
    pause = random.exponential(MEAN_NS, count).astype(np.int64) + 1
    takes = random.exponential(MEAN_NS, count).astype(np.int64)
    takes[outcome == INFO] = GIVES_UP_NS
    by_client = np.argsort(client, kind="stable")
    spent = np.cumsum((pause + takes)[by_client])
    begins = np.flatnonzero(np.diff(client[by_client], prepend=-1))
    spent -= np.repeat(np.append(0, spent[begins[1:] - 1]), np.diff(begins, append=count))
    complete = np.empty(count, dtype=np.int64)
    complete[by_client] = spent
    invoke = complete - takes
    late = random.exponential(3 * GIVES_UP_NS, count).astype(np.int64)
    within = (random.random(count) * (takes + 1)).astype(np.int64)
    return Calls(
        process=_processes(client, by_client, outcome, clients),
        invoke=invoke,
        complete=complete,
        outcome=outcome,
        effect=invoke + np.where(outcome == INFO, late, within),
        acted=(outcome == OK) | ((outcome == INFO) & (random.random(count) < 0.5)),
    )


def _processes(client: Integers, by_client: Integers, outcome: Integers, clients: int) -> Integers:
    retired = np.zeros(len(client), dtype=np.int64)
    told = (outcome == INFO)[by_client].astype(np.int64)
    total = np.cumsum(told) - told
    begins = np.flatnonzero(np.diff(client[by_client], prepend=-1))
    total -= np.repeat(total[begins], np.diff(begins, append=len(client)))
    retired[by_client] = total
    return client + clients * retired
