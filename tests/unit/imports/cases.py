"""For each model a history that keeps it, one that breaks it, one that proves nothing, and what is said of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.unit.imports.events import Event, begun, done, ended


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Three histories; `anomaly` is the name of what is wrong with `broken`, `words` are in its witness."""

    model: str
    kept: list[Event]
    broken: list[Event]
    silent: list[Event]
    anomaly: str
    words: tuple[str, ...]
    silent_words: str = ""
    isolation: str | None = None
    operations: tuple[int, ...] = field(default=())


def txn(process: int, steps: list[object], answers: list[object] | None = None, f: str = "txn") -> list[Event]:
    return done(process, f, steps, answers)


def unanswered(process: int, f: str, value: object = None) -> list[Event]:
    return [*begun(process, f, value), *ended(process, "info", f, value, error="timeout")]


ACCOUNTS = {"a": 5, "b": 5}
MOVE = {"from": "a", "to": "b", "amount": 2}

CASES = (
    Case(
        model="register",
        kept=[*done(0, "write", "one", key="x"), *done(1, "r", None, "one", key="x")],
        broken=[
            *done(0, "write", "one", key="x"),
            *done(0, "w", "two", key="x"),
            *done(1, "read", None, "two", key="x"),
            *done(1, "read", None, "one", key="x"),
        ],
        silent=[*unanswered(0, "write", 1), *done(1, "read")],
        anomaly="stale-read",
        words=('Key "x"', 'wrote "two"', 'read "one"', "operation 3 (lines 7 and 8)"),
        silent_words="was acknowledged",
        operations=(0, 1, 3),
    ),
    Case(
        model="cas-register",
        kept=[
            *done(0, "write", [7, 1]),
            *done(1, "cas", [7, [1, 2]]),
            *done(1, "cas", [7, [1, 3]], outcome="fail"),
            *done(0, "read", [7, None], [7, 2]),
        ],
        broken=[*done(0, "write", [7, 1]), *done(1, "cas", [7, [1, 2]]), *done(0, "read", [7, None], [7, 1])],
        silent=unanswered(0, "cas", [7, [1, 2]]),
        anomaly="not-linearizable",
        words=("Register 7", "cas [1, 2]", "read -> 1"),
        operations=(0, 1, 2),
    ),
    Case(
        model="kv",
        kept=[*done(0, "put", "a", key="k"), *done(1, "append", "b", key="k"), *done(0, "get", None, "ab", key="k")],
        broken=[*done(0, "put", "a", key="k"), *done(1, "append", "b", key="k"), *done(0, "get", None, "a", key="k")],
        silent=unanswered(0, "put", "a"),
        anomaly="not-linearizable",
        words=('store "k"', 'append "b"', 'get -> "a"'),
        silent_words="No call on a key-value store was answered",
    ),
    Case(
        model="lock",
        kept=[*done(0, "acquire"), *done(0, "release"), *done(1, "lock"), *done(1, "unlock")],
        broken=[*done(0, "acquire"), *done(1, "release")],
        silent=unanswered(0, "acquire"),
        anomaly="not-linearizable",
        words=("release 1",),
    ),
    Case(
        model="mutex",
        kept=[*done(0, "acquire"), *done(1, "release")],
        broken=[*done(0, "acquire"), *done(1, "acquire")],
        silent=unanswered(0, "acquire"),
        anomaly="not-linearizable",
        words=("operation 0", "operation 1"),
        operations=(0, 1),
    ),
    Case(
        model="queue",
        kept=[
            *done(0, "enqueue", "a"),
            *done(0, "send", "b"),
            *done(1, "dequeue", None, "b"),
            *done(1, "drain", None, ["a"]),
        ],
        broken=[
            *done(0, "enqueue", "a"),
            *done(0, "enqueue", "b"),
            *done(1, "dequeue", None, "b"),
            *done(1, "drain", None, []),
        ],
        silent=[*done(0, "enqueue", "a"), *done(1, "dequeue", None, "a"), *done(0, "enqueue", "b")],
        anomaly="lost",
        words=('Element "a"', "neither came out nor remains"),
        silent_words="Nobody looked",
        operations=(0,),
    ),
    Case(
        model="fifo-queue",
        kept=[
            *done(0, "enqueue", "a"),
            *done(0, "enqueue", "b"),
            *done(1, "dequeue", None, "a"),
            *done(1, "poll", None, "b"),
        ],
        broken=[*done(0, "enqueue", "a"), *done(0, "enqueue", "b"), *done(1, "dequeue", None, "b")],
        silent=unanswered(0, "enqueue", "a"),
        anomaly="not-linearizable",
        words=('dequeue -> "b"',),
    ),
    Case(
        model="set",
        kept=[*done(0, "add", "a"), *done(0, "add", "b"), *done(1, "read", None, ["b", "a"])],
        broken=[*done(0, "add", "a"), *done(0, "add", "b"), *done(1, "read", None, ["b"])],
        silent=[*done(0, "add", "a")],
        anomaly="lost",
        words=('Element "a" is lost', "operation 2"),
        silent_words="No read was answered",
        operations=(0, 2),
    ),
    Case(
        model="linearizable-set",
        kept=[*done(0, "add", 1), *done(1, "read", None, [1])],
        broken=[*done(0, "add", 1), *done(1, "read", None, []), *done(1, "read", None, [1])],
        silent=[*done(0, "add", 1), *done(1, "read", None, [1], outcome="fail")],
        anomaly="stale",
        words=("Element 1 is stale",),
        operations=(0, 1),
    ),
    Case(
        model="counter",
        kept=[*done(0, "add", 2), *done(0, "increment"), *done(0, "decrement", 1), *done(1, "read", None, 2)],
        broken=[*done(0, "add", 2), *done(1, "read", None, 3)],
        silent=[*done(0, "add", 2)],
        anomaly="too-high",
        words=("read 3", "cannot be more than 2"),
        silent_words="No read succeeded",
        operations=(1,),
    ),
    Case(
        model="bank",
        kept=[
            *done(0, "open", ACCOUNTS),
            *done(0, "transfer", MOVE),
            *done(1, "read", None, {"a": 3, "b": 7}),
        ],
        broken=[
            *done(0, "open", ACCOUNTS),
            *done(0, "transfer", MOVE),
            *done(1, "read", None, {"a": 3, "b": 5}),
            *done(0, "transfer", MOVE),
        ],
        silent=[*done(0, "open", ACCOUNTS), *done(0, "transfer", MOVE)],
        anomaly="wrong-total",
        words=("operation 2 (lines 5 and 6) adds up to 8", "2 less than the 10"),
        silent_words="No read succeeded",
        operations=(2,),
    ),
    Case(
        model="list-append",
        kept=[
            *txn(0, [["append", "x", 1]]),
            *txn(1, [["r", "x", None], ["append", "x", 2]], [["r", "x", [1]], ["append", "x", 2]]),
            *txn(0, [["r", "x", None]], [["r", "x", [1, 2]]]),
        ],
        broken=[
            *txn(0, [["append", "x", 1]]),
            *txn(1, [["r", "x", None]], [["r", "x", []]]),
            *txn(0, [["r", "x", None]], [["r", "x", [1]]]),
        ],
        silent=txn(0, [["append", "x", 1]]),
        anomaly="G-single-realtime",
        words=("key x", "operation 0 (lines 1 and 2)", "operation 1"),
    ),
    Case(
        model="list-append",
        isolation="read-committed",
        kept=[
            *txn(0, [["append", "x", 1]]),
            *txn(1, [["r", "x", None]], [["r", "x", []]]),
            *txn(0, [["r", "x", None]], [["r", "x", [1]]]),
        ],
        broken=[
            *begun(0, "txn", [["append", "x", 1]]),
            *ended(0, "fail", "txn", [["append", "x", 1]]),
            *txn(0, [["append", "x", 2]]),
            *txn(1, [["r", "x", None]], [["r", "x", [1, 2]]]),
        ],
        silent=unanswered(0, "txn", [["append", "x", 1]]),
        anomaly="G1a",
        words=("operation 2",),
        silent_words="No transaction was acknowledged",
    ),
    Case(
        model="transactions",
        kept=[
            *txn(0, [["w", "x", 1], ["w", "y", 1]]),
            *txn(1, [["r", "x", None], ["r", "y", None]], [["r", "x", 1], ["r", "y", 1]]),
        ],
        broken=[
            *txn(0, [["w", "x", 1], ["w", "y", 1]]),
            *txn(1, [["r", "x", None], ["r", "y", None]], [["r", "x", 1], ["r", "y", None]]),
        ],
        silent=unanswered(0, "txn", [["w", "x", 1]]),
        anomaly="not-linearizable",
        words=("operation 1",),
    ),
    Case(
        model="unique-ids",
        kept=[*done(0, "generate", None, "id-1"), *done(1, "nextval", None, "id-2")],
        broken=[*done(0, "generate", None, "id-1"), *done(1, "generate", None, "id-1")],
        silent=done(0, "generate", None, "id-1"),
        anomaly="duplicate-id",
        words=('Id "id-1" was given to operation 0 (lines 1 and 2) and to operation 1 (lines 3 and 4)',),
        operations=(0, 1),
    ),
    Case(
        model="monotonic",
        kept=[*done(0, "read", None, 1, key="rows"), *done(0, "read", None, 2, key="rows")],
        broken=[*done(0, "read", None, 2, key="rows"), *done(0, "read", None, 1, key="rows")],
        silent=[*done(0, "read", None, 2, key="rows"), *done(1, "read", None, 1, key="rows")],
        anomaly="monotonic-reads",
        words=("session 0", 'key "rows"', "goes back"),
        operations=(0, 1),
    ),
    Case(
        model="long-fork",
        kept=[
            *txn(0, [["w", "x", 1]]),
            *txn(1, [["r", "x", None], ["r", "y", None]], [["r", "x", 1], ["r", "y", None]]),
            *txn(0, [["w", "y", 1]]),
            *txn(1, [["r", "y", None], ["r", "x", None]], [["r", "y", 1], ["r", "x", 1]], f="read"),
        ],
        broken=[
            *txn(0, [["w", "x", 1]], f="write"),
            *txn(0, [["w", "y", 1]]),
            *txn(1, [["r", "x", None], ["r", "y", None]], [["r", "x", 1], ["r", "y", None]]),
            *txn(2, [["r", "x", None], ["r", "y", None]], [["r", "x", None], ["r", "y", 1]]),
        ],
        silent=[
            *txn(0, [["w", "x", 1]]),
            *txn(1, [["r", "x", None], ["r", "y", None]], [["r", "x", None], ["r", "y", None]]),
        ],
        anomaly="long-fork",
        words=('group ["x", "y"]', "operation 2", "operation 3"),
        silent_words="half written",
        operations=(2, 3),
    ),
)
