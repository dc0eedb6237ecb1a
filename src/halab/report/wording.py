"""Numbers and words as people read them; shared by the HTML page, the terminal and JUnit."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from halab.report.folder import Promise

VERDICT_WORDS: Mapping[str, str] = {"VALID": "kept", "INVALID": "broken", "UNKNOWN": "not proven"}
VERDICT_MARKS: Mapping[str, str] = {"VALID": "\u2713", "INVALID": "\u2717", "UNKNOWN": "?"}
_COMPARISONS: Mapping[str, str] = {"<": "<", "<=": "\u2264", "==": "=", ">=": "\u2265", ">": ">"}
_UNIT_SYMBOLS: Mapping[str, str] = {"seconds": "s", "second": "s", "percent": "%", "bytes": "B"}
_SYMBOLS = ("s", "%", "B")


def number(value: object, *, places: int | None = None) -> str:
    """A number with thousands separated and no false precision; a dash for None; text unchanged."""
    if value is None:
        return "\u2013"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        if places is None:
            places = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2
        return f"{value:,.{places}f}"
    return str(value)


def quantity(value: object, unit: str) -> str:
    """A number with its unit: `17.24 s`, `99.31 %`, `0 writes`."""
    symbol = _UNIT_SYMBOLS.get(unit, unit)
    if isinstance(value, float) and value.is_integer() and symbol not in ("s", "%"):
        value = int(value)  # a count
    return number(value) if value is None or not symbol else f"{number(value)}\u00a0{symbol}"


def requirement(promise: Promise) -> str:
    """What was promised: `< 30 s`, `≤ 0`. What is counted stands beside the measured value."""
    if promise.threshold is None:
        return "\u2013"
    sign = _COMPARISONS.get(promise.comparison, promise.comparison)
    bound = promise.threshold
    bound = int(bound) if isinstance(bound, float) and bound.is_integer() else bound
    symbol = _UNIT_SYMBOLS.get(promise.unit, promise.unit)
    return f"{sign}\u00a0{quantity(bound, symbol if symbol in _SYMBOLS else '')}".strip()


def tally(promises: tuple[Promise, ...]) -> str:
    """`8 promises: 7 kept, 1 broken`."""
    if not promises:
        return "no promise was judged"
    counts = {word: sum(promise.verdict == verdict for promise in promises) for verdict, word in VERDICT_WORDS.items()}
    total = f"{len(promises)} promise{'s' if len(promises) != 1 else ''}"
    return f"{total}: " + ", ".join(f"{count} {word}" for word, count in counts.items() if count)


def seconds(value: float | None) -> str:
    """A length of time: `850 ms`, `17.2 s`, `2 min 05 s`, `1 h 04 min`."""
    if value is None:
        return "\u2013"
    if value < 1:
        return f"{value * 1000:.0f}\u00a0ms"
    if value < 120:
        return f"{value:.1f}\u00a0s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes}\u00a0min\u00a0{rest:02d}\u00a0s"
    return f"{minutes // 60}\u00a0h\u00a0{minutes % 60:02d}\u00a0min"


def clock(value: datetime | None) -> str:
    """A wall-clock time in UTC, to the second."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if value else "unknown time"


def size(value: int) -> str:
    """A file's size: `512 B`, `13 kB`, `2.4 MB` (powers of 1000)."""
    if value < 1000:
        return f"{value}\u00a0B"
    return f"{value / 1000:.0f}\u00a0kB" if value < 1_000_000 else f"{value / 1e6:.1f}\u00a0MB"
