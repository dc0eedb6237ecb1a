"""Which calls happen after which others for more reasons than real time (`Frame.span`)."""

from __future__ import annotations

from halab.consistency.columns import NEVER
from halab.consistency.linear.model import Frame
from halab.consistency.linear.timeline import Timeline


class Spans:
    """A call happens after every other whose last is less than its first.

    first, last    by call
    later          by return: the least last of the calls that are invoked after it
    """

    __slots__ = ("_timeline", "first", "last", "later")

    def __init__(self, timeline: Timeline, first: list[int], last: list[int]) -> None:
        self._timeline, self.first, self.last = timeline, first, last
        self.later = later = [NEVER] * (timeline.size + 1)
        for number, since in enumerate(timeline.since[: timeline.size]):
            if since:
                later[since - 1] = min(later[since - 1], last[number])
        for i in reversed(range(timeline.size)):
            later[i] = min(later[i], later[i + 1])

    @classmethod
    def of(cls, timeline: Timeline, frame: Frame) -> Spans | None:
        """None where the frame knows of none."""
        span = frame.span
        if span is None:
            return None
        spans = [(-1, NEVER) if i in timeline.free else span(call) for i, call in enumerate(timeline.calls)]
        return cls(timeline, [first for first, _ in spans], [last for _, last in spans])

    def bound(self, i: int, m: int) -> int:
        """The least last of what has not happened at return `i`: what has a greater first comes after it."""
        line, last = self._timeline, self.last
        under_way = (last[number] for number in (i, *line.movers[i]) if not m & line.bits[number])
        return min((self.later[i], *under_way))
