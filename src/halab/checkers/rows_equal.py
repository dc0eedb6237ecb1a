"""Whether all nodes hold the same rows after the load: same count, same digest of all rows in order of their ids."""

from __future__ import annotations

from typing import Any, Final

from halab.checkers.context import EXAMPLES, NONE, Context, Promise
from halab.checkers.lost_writes import final_primary
from halab.checkers.ranges import Ids
from halab.history import FinalRead, History
from halab.verdict import Verdict

PROMISE: Final = Promise(
    name="rows_equal", title="All nodes hold the same rows", unit="nodes that differ", default=NONE, needs_load=True
)


def check(history: History, context: Context) -> Verdict:
    """Compare the last final read of every expected node with the primary's."""
    finals = {final.node: final for final in history.finals}
    problems = [problem for node in context.nodes if (problem := _problem(node, finals.get(node)))]
    primary = final_primary(finals.values())
    if problems or not context.nodes:
        missing = "; ".join(problems) or "No node is expected, so there is nothing to compare"
        return PROMISE.unknown(context, f"{missing}.")
    reference = primary if primary is not None and primary.node in context.nodes else finals[context.nodes[0]]
    others = [finals[node] for node in context.nodes if node != reference.node]
    differing = [final for final in others if (final.count, final.digest) != (reference.count, reference.digest)]
    details: dict[str, Any] = {"rows": {node: finals[node].count for node in context.nodes}}
    if differing:
        return PROMISE.broken(
            context, len(differing), " ".join(_difference(final, reference) for final in differing), details
        )
    witness = f"{', '.join(context.nodes)} hold the same {reference.count} rows (digest {reference.digest})."
    return PROMISE.judge(context, 0, witness, details)


def _problem(node: str, final: FinalRead | None) -> str:
    if final is None:
        return f"There is no final read of {node}"
    if final.error is not None:
        return f"The final read of {node} failed: {final.error}"
    if final.count is None or final.digest is None:
        return f"The final read of {node} has no count or no digest"
    return ""


def _difference(final: FinalRead, reference: FinalRead) -> str:
    text = f"{final.node} holds {final.count} rows, {reference.node} ({reference.role}) {reference.count}"
    if final.ids is None or reference.ids is None:
        return text + "."
    here, there = Ids.of(final.ids), Ids.of(reference.ids)
    parts = [
        f"{len(ids)} rows only on {node}: {', '.join(map(str, ids.examples(EXAMPLES)))}"
        for node, ids in ((reference.node, there.without(here)), (final.node, here.without(there)))
        if len(ids)
    ]
    parts += [
        f"{ids.repeated} rows more than once on {node}"
        for node, ids in ((reference.node, there), (final.node, here))
        if ids.repeated
    ]
    return f"{text}; {'; '.join(parts) or 'the same ids with different content'}."
