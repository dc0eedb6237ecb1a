"""Waiting for a condition, never for a while: every wait has a deadline and says what it waited for when it expires."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from halab.errors import HalabError

T = TypeVar("T")


class WaitExpired(HalabError):  # noqa: N818 (what happened, not what failed)
    """A condition did not come true in time. `last` is the last thing that was seen instead."""

    def __init__(self, what: str, within_s: float, last: object) -> None:
        self.what = what
        self.within_s = within_s
        self.last = last
        super().__init__(f"waited {within_s:g} s for {what}; last seen: {last}")


class Deadline(Struct, frozen=True):
    """A moment of the monotonic clock, in seconds, after which there is no point in going on."""

    at: float

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        return cls(time.monotonic() + seconds)

    @property
    def remaining_s(self) -> float:
        """Seconds left; never negative."""
        return max(0.0, self.at - time.monotonic())

    @property
    def expired(self) -> bool:
        return time.monotonic() >= self.at


def eventually(
    check: Callable[[], T],
    *,
    within_s: float,
    what: str,
    every_s: float = 0.2,
    accept: Callable[[T], bool] = bool,
    pause: Callable[[float], object] = time.sleep,
) -> T:
    """Call `check` until `accept` likes what it returns, and return that.

    A HalabError or OSError out of `check` counts as not yet. The check runs at least once. `pause` may be the wait
    method of an event, to be woken early. Raises WaitExpired after `within_s` seconds.
    """
    deadline = Deadline.after(within_s)
    while True:
        last: object
        try:
            seen = check()
        except (HalabError, OSError) as error:
            last = error
        else:
            if accept(seen):
                return seen
            last = seen
        if deadline.expired:
            raise WaitExpired(what, within_s, last)
        pause(min(every_s, deadline.remaining_s))


def next_on_grid(due: float, period_s: float, *, now: float) -> float:
    """The first moment of the grid through `due` that is after `due` and not before `now`; all in seconds."""
    return due + period_s * max(1.0, -((due - now) // period_s))
