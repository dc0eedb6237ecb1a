# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands of `link` on the machine itself: the queue client, its table, the way back, and what is seen."""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import link_netem, link_queue, link_steer
from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger
from ansible_collections.halab.faults.plugins.module_utils.link_measure import Look, look, traced
from ansible_collections.halab.faults.plugins.module_utils.link_reading import Reading
from ansible_collections.halab.faults.plugins.module_utils.link_shape import Impairment
from ansible_collections.halab.faults.plugins.module_utils.waiting import until

_BOUND_WITHIN_S = 10.0
_CLEAR_PROBES = 20
_CLEAR_WAIT_S = 0.3
# Less is what a busy machine does to its packets without any fault.
_NOTICEABLE_MS = 3.0


def _queue(arguments: Sequence[str]) -> int:
    """LEDGER ID QUEUES IMPAIRMENT: be the queue client until the entry's time is up. The injector."""
    directory, entry_id, queues, impairment = arguments
    asked = json.loads(queues)
    link_queue.serve(
        {link_steer.HOOKS[way]: int(number) for way, number in asked["queues"].items()},
        Impairment.load(json.loads(impairment)),
        time.monotonic_ns() + int(_remaining_s(directory, entry_id) * 1e9),
        apart=bool(asked["apart"]),
    )
    return 0


def _steer(arguments: Sequence[str]) -> int:
    """LEDGER ID STEERING: lead packets to the queues, once somebody listens there, for what is left of the time."""
    directory, entry_id, text = arguments
    steering = link_steer.Steering.load(json.loads(text))
    queues = set(steering.queues.values())
    if not until(lambda: queues <= link_steer.taken(), within_s=_BOUND_WITHIN_S):
        return _failed(f"nobody listens to queue {sorted(queues)} within {_BOUND_WITHIN_S:g} s")
    try:
        steering.put_up(ttl_s=max(1, math.ceil(_remaining_s(directory, entry_id))))
    except OSError as error:
        return _failed(str(error))
    return 0


def _remaining_s(directory: str, entry_id: str) -> float:
    """Seconds that the fault may still act; none when the ledger does not know it."""
    entry = Ledger(Path(directory)).read(entry_id)
    return entry.expires.remaining_s() if entry else 0.0


def _unsteer(arguments: Sequence[str]) -> int:
    """TABLE: lead no packet anywhere any more."""
    try:
        link_steer.take_down(arguments[0])
    except OSError as error:
        return _failed(str(error))
    return 0


def _unnetem(arguments: Sequence[str]) -> int:
    """DEVICE IFB MAJOR: remove the queueing disciplines of a fault."""
    device, ifb, major = arguments
    try:
        link_netem.take_down(device, ifb, major)
    except OSError as error:
        return _failed(str(error))
    return 0


def _state(arguments: Sequence[str]) -> int:
    """LOOK: say `impaired` when all that was asked for is measured, else `not impaired`."""
    seen = look(Look.load(json.loads(arguments[0])))
    lines = ["not impaired", *seen.missing] if seen.missing else ["impaired"]
    sys.stdout.write("\n".join([*lines, *seen.findings]) + "\n")
    return 0


def _gone(arguments: Sequence[str]) -> int:
    """PLACES LOOK: say `clear` when nothing of this fault is in the way of packets, and none is held up."""
    places, request = json.loads(arguments[0]), Look.load(json.loads(arguments[1]))
    left = list(_left(places))
    others = [name for name in link_steer.tables() if name.startswith("halab_link_") and name != places.get("table")]
    words = left or ["no rule, queue or qdisc of this fault is there"]
    if not left and not others:
        slow, told = _slowness(request)
        left += slow
        words += told
    elif others:
        words.append(f"not measured, because other link faults act ({len(others)})")
    sys.stdout.write("\n".join(["in the way" if left else "clear", *words]) + "\n")
    return 0


def _left(places: Mapping[str, Any]) -> Sequence[str]:
    found = []
    if places.get("table") in link_steer.tables():
        found.append(f"the table {places['table']} is there")
    listened = link_steer.taken() & set(places.get("queues", {}).values())
    if listened:
        found.append(f"somebody listens to queue {sorted(listened)}")
    device = places.get("device")
    if device and link_netem.present(device, places["ifb"], places["major"]):
        found.append(f"queueing disciplines {places['major']}: of {device} are there")
    return found


def _slowness(request: Look) -> tuple[list[str], list[str]]:
    """What this machine still does to packets, and what was seen, in words."""
    traces = traced(request.targets, _CLEAR_PROBES, 0.002, _CLEAR_WAIT_S)
    limit = max(request.asked.delay_ms / 2, _NOTICEABLE_MS)
    slow, words = [], []
    for target in request.targets:
        mine = [trace for trace in traces if trace.target == target]
        for way in request.directions:
            reading = Reading.of(mine, way)
            words.append(
                f"{way} {target.words}: +{reading.quantile(0.5):.2f} ms, {reading.lost} of {reading.seen} lost"
            )
            if not reading.seen:
                words[-1] = f"{way} {target.words}: no answer at present"
            elif reading.quantile(0.5) > limit or reading.lost * 2 > reading.seen:
                slow.append(words[-1])
    return slow, words


def _failed(text: str) -> int:
    sys.stderr.write(f"{text}\n")
    return 1


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "link-queue": _queue,
    "link-steer": _steer,
    "link-unsteer": _unsteer,
    "link-unnetem": _unnetem,
    "link-state": _state,
    "link-gone": _gone,
}
