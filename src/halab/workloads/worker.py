"""`python -m halab.workloads.worker HISTORY_FD`: some clients of a load, in a process of their own.

Reads its share of the plan from standard input (pickled, for it comes from our own parent and holds passwords that must
be in no file) and answers {"ready": true}; then the moment to begin, a line in seconds of the monotonic clock. It ends
when standard input does. Records go to the descriptor HISTORY_FD as lines of a history; what was counted goes to
standard output, one JSON object a line.
"""

from __future__ import annotations

import gc
import itertools
import json
import pickle
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from halab.clients.guard import Watchdog
from halab.history import Record, WriterError
from halab.history.writer import LineWriter
from halab.waiting import Deadline
from halab.workloads.actor import OPERATION_WITHIN_S
from halab.workloads.client import Client, Shared
from halab.workloads.plan import Plan
from halab.workloads.tally import Tally

TOLD_EVERY_S: Final = 0.5
GARBAGE_EVERY: Final = 100_000
"""Allocations between looks for cyclic garbage. Records are none; looking at each 700 costs a tenth of an operation."""
JOIN_WITHIN_S: Final = OPERATION_WITHIN_S + 3.0


@dataclass(frozen=True, slots=True)
class Share:
    """The clients whose number leaves `worker` when divided by `workers`.

    Operation numbers are `worker`, and each next one `stride` further.
    """

    plan: Plan
    worker: int
    workers: int
    stride: int


def main(arguments: list[str]) -> int:
    """0 when its input ended, 1 when the history could not be written."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the driver's business
    gc.set_threshold(GARBAGE_EVERY)
    history = LineWriter(int(arguments[0]), name="the recorder's pipe")
    share: Share = pickle.load(sys.stdin.buffer)  # noqa: S301 (from our own parent)
    stop, broken = threading.Event(), threading.Event()

    def record(entry: Record) -> None:
        try:
            history.write(entry)
        except WriterError:
            broken.set()
            stop.set()

    tally = Tally()
    shared = Shared(
        record,
        tally,
        processes=share.plan.clients,
        operations=itertools.count(share.worker, share.stride),
        stop=stop,
    )
    clients = _clients(share, shared)
    _say({"ready": True})
    start = sys.stdin.buffer.readline()
    if not start:
        return 0
    threads = [
        threading.Thread(target=client.run, args=(float(start) + wait_s, period_s), name=client.name, daemon=True)
        for client, wait_s, period_s in clients
    ]
    for thread in threads:
        thread.start()
    threading.Thread(target=_until_input_ends, args=(stop,), daemon=True).start()
    while not stop.wait(TOLD_EVERY_S):
        _tell(tally)
    deadline = Deadline.after(JOIN_WITHIN_S)
    for thread in threads:
        thread.join(deadline.remaining_s)
    _tell(tally)
    if not broken.is_set():
        history.close()
    return int(broken.is_set())


def _clients(share: Share, shared: Shared) -> list[tuple[Client, float, float]]:
    """Each with the seconds that it waits at first, so that clients never pulse together, and its period in seconds."""
    watchdog = Watchdog()
    clients = []
    for number, group, within in share.plan.members():
        if number % share.workers == share.worker:
            actor = group.maker(share.plan.setting(group, within, watchdog))
            name = f"{group.client}-{within + 1}"
            period_s = 1 / group.rate if group.rate else 0.0
            wait_s = period_s * number / share.plan.clients
            clients.append((Client(name, actor, number, shared, workload=group.workload), wait_s, period_s))
    return clients


def _until_input_ends(stop: threading.Event) -> None:
    sys.stdin.buffer.read()
    stop.set()


def _tell(tally: Tally) -> None:
    _say({"t": time.monotonic_ns(), **tally.told()})


def _say(message: Mapping[str, Any]) -> None:
    try:
        sys.stdout.write(json.dumps(message, separators=(",", ":")) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # its input has ended, or will


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
