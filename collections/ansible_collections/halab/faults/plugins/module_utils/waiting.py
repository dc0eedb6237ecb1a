# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Waiting for what somebody else brings about, never for longer than was said."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_S = 0.02


def until(check: Callable[[], object], *, within_s: float, every_s: float = POLL_S) -> bool:
    """Whether `check` came to return something true within `within_s` seconds; it is called once at least."""
    deadline = time.monotonic() + within_s
    while not check():
        if time.monotonic() >= deadline:
            return False
        time.sleep(every_s)
    return True
