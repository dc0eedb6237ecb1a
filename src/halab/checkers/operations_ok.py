"""The share of client operations that succeeded while the load ran; failed and unknown ones count against it."""

from __future__ import annotations

from collections import Counter
from typing import Final

from halab.checkers.context import Context, Promise
from halab.checkers.evidence import load_window
from halab.history import History
from halab.verdict import Bound, Comparison, Verdict

PROMISE: Final = Promise(
    name="operations_ok",
    title="Client operations that succeeded",
    unit="%",
    default=Bound(Comparison.MORE, 95),
    words=("above", "at_least"),
    needs_load=True,
    proof_stands=False,
)
FEWEST: Final = 100


def check(history: History, context: Context) -> Verdict:
    """Percent ok of all operations that were invoked between start and stop of the load."""
    window = load_window(history)
    if window is None:
        return PROMISE.unknown(context, "The load never started, so there are no operations to count.")
    counts: Counter[tuple[str, str]] = Counter()
    errors: Counter[str] = Counter()
    for operation in history.operations:
        if window[0] <= operation.invoke.t <= window[1]:
            counts[operation.invoke.endpoint, operation.outcome] += 1
            if operation.outcome != "ok":
                errors[_error_class(operation.complete.error if operation.complete is not None else None)] += 1
    total, ok = counts.total(), sum(number for (_, outcome), number in counts.items() if outcome == "ok")
    details = {
        "operations": total,
        "endpoints": {
            endpoint: {outcome: counts[endpoint, outcome] for outcome in ("ok", "fail", "info")}
            for endpoint in sorted({endpoint for endpoint, _ in counts})
        },
        "errors": dict(errors.most_common(10)),
    }
    if total < FEWEST:
        return PROMISE.unknown(
            context, f"Only {total} operations; fewer than {FEWEST} say nothing about a share.", details
        )
    percent = 100 * ok / total
    witness = f"{ok} of {total} operations succeeded ({percent:.2f} %)"
    if errors:
        witness += "; the others: " + ", ".join(f"{number} {name}" for name, number in errors.most_common(3))
    return PROMISE.judge(context, percent, witness + ".", details)


def _error_class(error: str | None) -> str:
    return error.partition(":")[0].strip() if error else "without an answer"
