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
import os
import pickle
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from halab.clients.hub import Hub, Stopped
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
    """0 when its input ended, 1 when the history could not be written or a client broke."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of the terminal: the driver's business
    gc.set_threshold(GARBAGE_EVERY)
    history = LineWriter(int(arguments[0]), name="the recorder's pipe")
    share: Share = pickle.load(sys.stdin.buffer)  # noqa: S301 (from our own parent)
    stop, broken = threading.Event(), threading.Event()

    def end() -> None:
        broken.set()
        stop.set()

    tally = Tally()
    shared = Shared(
        history.write,
        tally,
        processes=share.plan.clients,
        operations=itertools.count(share.worker, share.stride),
        stop=stop,
    )
    hub = Hub(stop)
    clients = _clients(share, shared, replace(shared, stop=Stopped(hub, stop)), hub)
    _say({"ready": True})
    start = sys.stdin.buffer.readline()
    if not start:
        return 0
    threads = _threads(clients, float(start), hub, end)
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


@dataclass(frozen=True, slots=True)
class _Timed:
    """A client, the seconds that it waits at first, so that clients never pulse together, and its period in seconds.

    Those that are not `of_hub` need a thread each.
    """

    client: Client
    wait_s: float
    period_s: float
    of_hub: bool


def _clients(share: Share, shared: Shared, of_hub: Shared, hub: Hub) -> list[_Timed]:
    clients = []
    for number, group, within in share.plan.members():
        if number % share.workers == share.worker:
            actor = group.maker(share.plan.setting(group, within, hub))
            name = f"{group.client}-{within + 1}"
            period_s = 1 / group.rate if group.rate else 0.0
            wait_s = period_s * number / share.plan.clients
            its = of_hub if group.of_postgresql else shared
            client = Client(name, actor, number, its, workload=group.workload)
            clients.append(_Timed(client, wait_s, period_s, of_hub=group.of_postgresql))
    return clients


def _threads(clients: list[_Timed], start: float, hub: Hub, broken: Callable[[], None]) -> list[threading.Thread]:
    """One for all clients of the hub, and one for each other client."""
    acts = [hub.run]
    for timed in clients:
        act = partial(timed.client.run, start + timed.wait_s, timed.period_s)
        if timed.of_hub:
            hub.spawn(act)
        else:
            acts.append(act)
    return [threading.Thread(target=_or_end, args=(act, broken), daemon=True) for act in acts]


def _or_end(act: Callable[[], None], broken: Callable[[], None]) -> None:
    """A client that breaks, or cannot record, would be missed by nobody: it ends the load."""
    try:
        act()
    except BaseException:
        broken()
        raise


def _until_input_ends(stop: threading.Event) -> None:
    # Not by the buffer, whose lock Python would want at its own end, which may be before that of the input.
    while os.read(sys.stdin.fileno(), 1):
        pass
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
