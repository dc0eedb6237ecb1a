"""Hand-made histories of transactions on lists, and short ways to write them."""

from __future__ import annotations

from collections.abc import Sequence

from halab.consistency.append import Micro, Transaction, check
from halab.consistency.columns import FAIL, INFO, NEVER, OK
from halab.consistency.finding import Finding

BEGIN, END = 0, 1_000


def steps(text: str) -> tuple[Micro, ...]:
    """`x+1` appends 1 to x, `x=1,2` reads [1, 2] from x, `x=` reads the empty list and `x?` one that is not known."""
    found: list[Micro] = []
    for step in text.split():
        key, sign, rest = step[0], step[1], step[2:]
        if sign == "+":
            found.append(("append", key, int(rest)))
        elif sign == "?":
            found.append(("r", key, None))
        else:
            found.append(("r", key, tuple(int(value) for value in rest.split(",") if value)))
    return tuple(found)


def tx(
    op: int, text: str, *, outcome: int = OK, process: int | None = None, time: tuple[int, int] = (BEGIN, END)
) -> Transaction:
    """A transaction, concurrent with all others unless `time` says when it was."""
    return Transaction(
        op=op,
        process=op if process is None else process,
        invoke=time[0],
        complete=NEVER if outcome == INFO else time[1],
        outcome=outcome,
        micro=steps(text),
    )


def judged(*history: Transaction, level: str = "strict-serializable") -> Finding:
    return check(history, level=level)


def found(*history: Transaction, level: str = "strict-serializable") -> dict[str, int]:
    counts: dict[str, int] = judged(*history, level=level).details["anomalies"]
    return counts


READ_BACK = (tx(98, "w+1"), tx(99, "w=1"))
"""What makes a history worth judging, and contradicts nothing."""
G0 = (tx(1, "x+1 y+1"), tx(2, "x+2 y+2"), tx(3, "x=1,2 y=2,1"))
G1A = (tx(1, "x+1", outcome=FAIL), tx(2, "x=1 y+1"))
G1B = (tx(1, "x+1 x+2"), tx(2, "x=1"))
G1C = (tx(1, "x+1 y=1"), tx(2, "y+1 x=1"))
DIRTY = (tx(1, "x+1", outcome=FAIL), tx(2, "x+2"), tx(3, "x=1,2"))
G_SINGLE = (tx(1, "x+1 y+1"), tx(2, "x= y=1"))
G_NONADJACENT = (tx(1, "x+1"), tx(2, "x=1 y="), tx(3, "y+1"), tx(4, "y=1 x="))
G2 = (tx(1, "x= y+1"), tx(2, "y= x+1"))
LOST = (tx(1, "x= x+1"), tx(2, "x= x+2"), tx(3, "x=1,2"))
INTERNAL_OWN = (tx(1, "x+1"), tx(2, "x+2 x=1"))
INTERNAL_AGAIN = (tx(1, "x+1"), tx(2, "x= x=1"))
FUTURE = (tx(1, "x=1 x+1"),)
GARBAGE = (tx(1, "x+1"), tx(2, "x=1,7"))
DUPLICATE = (tx(1, "x+1"), tx(2, "x=1,1"))
INCOMPATIBLE = (tx(1, "x+1"), tx(2, "x+2"), tx(3, "x=1"), tx(4, "x=2"))
OWN_ORDER = (tx(1, "x+1 x+2"), tx(2, "x=2,1"), tx(3, "x+3"), tx(4, "x=2,1,3"))
UPDATED = (tx(1, "x= x+1 y+1"), tx(2, "x+2 y="), tx(3, "y=1"))
OWN_GAP = (tx(1, "x+1 x+2"), tx(2, "x=2"))
G0_PROCESS = (
    tx(1, "x+1", process=1, time=(0, 10)),
    tx(2, "x+2", process=1, time=(20, 30)),
    tx(3, "x=2,1", process=2, time=(0, 50)),
)
G1C_PROCESS = (tx(1, "x=1", process=1, time=(0, 10)), tx(2, "x+1", process=1, time=(20, 30)))
G_SINGLE_PROCESS = (tx(1, "x+1", process=1, time=(0, 10)), tx(2, "x=", process=1, time=(20, 30)))
G2_PROCESS = (
    tx(1, "x+1", process=1, time=(0, 10)),
    tx(2, "y=", process=1, time=(20, 30)),
    tx(3, "y+1", process=2, time=(0, 10)),
    tx(4, "x=", process=2, time=(20, 30)),
)
STALE_AFTER_READ = (
    tx(1, "x+1", outcome=INFO, time=(0, 0)),
    tx(2, "x=1 y+1", time=(10, 20)),
    tx(3, "x=", time=(30, 40)),
)
STALE_AFTER_WRITE = (
    tx(1, "x+1", time=(0, 50)),
    tx(2, "x+2", time=(10, 20)),
    tx(3, "x=", time=(30, 50)),
    tx(4, "x=1,2", time=(60, 70)),
)
STALE_UPDATE = (
    tx(1, "x= x+1", time=(0, 50)),
    tx(2, "x= x+2", time=(0, 50)),
    tx(3, "x+3", time=(10, 20)),
    tx(4, "x= x+4", time=(30, 50)),
)
SKEW_REALTIME = (tx(1, "x= y=1", time=(0, 100)), tx(2, "x+1", time=(10, 20)), tx(3, "y+1", time=(30, 40)))


def retold(history: Sequence[Transaction]) -> tuple[Transaction, ...]:
    """The same by clients of which each makes one transaction: only time orders them."""
    return tuple(
        Transaction(
            op=one.op, process=one.op, invoke=one.invoke, complete=one.complete, outcome=one.outcome, micro=one.micro
        )
        for one in history
    )
