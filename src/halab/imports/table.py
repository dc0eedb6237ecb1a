"""The models: data, which `halab check --model list` shows and docs/importing.md repeats."""

from __future__ import annotations

from functools import partial
from typing import Final

from halab.errors import InputError, Problem
from halab.imports.judges import bank, counts, elements, forks, lists, objects, registers
from halab.imports.model import Function, Model
from halab.imports.shapes import (
    ANYTHING,
    BALANCES,
    DECIDED,
    EXPECTED_NEW,
    INTEGER,
    LIST,
    LISTS,
    PERHAPS_INTEGER,
    PERHAPS_TEXT,
    REPEATED,
    SOMETHING,
    STEPPED,
    TEXT,
    TRANSFER,
    VALUES,
    VERSIONED,
    before_pair,
    never,
)

_READ: Final = ("get", "r")
_WRITE: Final = ("put", "w", "set")
_VALUE_READ: Final = Function(name="read", synonyms=_READ, gives=ANYTHING)
_VALUE_WRITE: Final = Function(name="write", synonyms=_WRITE, explicit=True, confirms=REPEATED)
_ADD: Final = Function(name="add", synonyms=("insert", "append"), takes=SOMETHING, confirms=REPEATED)
_SET_READ: Final = Function(name="read", synonyms=_READ, gives=LIST)
_ENQUEUE: Final = Function(
    name="enqueue", synonyms=("send", "offer", "push", "put", "publish"), takes=SOMETHING, confirms=REPEATED
)
_DEQUEUE: Final = Function(name="dequeue", synonyms=("receive", "poll", "pop", "take"), gives=ANYTHING)
_LOCK: Final = (
    Function(name="acquire", synonyms=("lock",), confirms=DECIDED),
    Function(name="release", synonyms=("unlock",), confirms=DECIDED),
)

MODELS: Final = (
    Model(
        name="register",
        synonyms=("rw-register",),
        title="linearizable registers, read and written, null at first",
        functions=(_VALUE_READ, _VALUE_WRITE),
        judge=registers.judge,
    ),
    Model(
        name="cas-register",
        synonyms=("cas",),
        title="linearizable registers with compare-and-set, null at first",
        functions=(
            _VALUE_READ,
            _VALUE_WRITE,
            Function(
                name="cas", synonyms=("compare-and-set",), takes=EXPECTED_NEW, keyed=before_pair, confirms=DECIDED
            ),
        ),
        judge=registers.judge,
    ),
    Model(
        name="kv",
        synonyms=("key-value",),
        title="a linearizable store of texts that can be appended to, empty at first",
        functions=(
            Function(name="get", synonyms=("read", "r"), gives=PERHAPS_TEXT),
            Function(name="put", synonyms=("write", "w", "set"), takes=TEXT, confirms=REPEATED),
            Function(name="append", takes=TEXT, confirms=REPEATED),
        ),
        judge=objects.key_value,
    ),
    Model(
        name="lock",
        synonyms=("owner-aware-mutex",),
        title="a linearizable lock that only its owner may release: the value, or the process where there is none",
        functions=_LOCK,
        judge=objects.lock,
    ),
    Model(
        name="mutex",
        title="a linearizable lock that anybody may release",
        functions=_LOCK,
        judge=objects.mutex,
    ),
    Model(
        name="queue",
        synonyms=("total-queue", "unordered-queue"),
        title="what went in comes out once, in any order; null where a dequeue found nothing, drain to empty it",
        functions=(_ENQUEUE, _DEQUEUE, Function(name="drain", gives=LIST)),
        judge=elements.total_queue,
    ),
    Model(
        name="fifo-queue",
        title="a linearizable first-in first-out queue; null where a dequeue found nothing",
        functions=(_ENQUEUE, _DEQUEUE),
        judge=objects.fifo_queue,
    ),
    Model(
        name="set",
        title="a set that only grows: acknowledged elements stay",
        functions=(_ADD, _SET_READ),
        judge=partial(elements.grow_only_set, linearizable=False),
    ),
    Model(
        name="linearizable-set",
        synonyms=("set-full",),
        title="the same, and every read finds what was known before it began",
        functions=(_ADD, _SET_READ),
        judge=partial(elements.grow_only_set, linearizable=True),
    ),
    Model(
        name="counter",
        title="a counter that begins at 0; null adds 1",
        functions=(
            Function(name="add", synonyms=("increment", "incr", "inc"), takes=PERHAPS_INTEGER, confirms=STEPPED),
            Function(name="decrement", synonyms=("decr", "dec"), takes=PERHAPS_INTEGER, confirms=STEPPED),
            Function(name="read", synonyms=_READ, gives=INTEGER),
        ),
        judge=counts.count,
    ),
    Model(
        name="bank",
        title="transfers keep the sum of all accounts, and none is negative; open says what there is at first",
        functions=(
            Function(name="transfer", takes=TRANSFER, confirms=REPEATED, keyed=never),
            Function(name="read", synonyms=_READ, gives=BALANCES, keyed=never),
            Function(name="open", synonyms=("init",), takes=BALANCES, confirms=REPEATED, keyed=never),
        ),
        judge=bank.judge,
    ),
    Model(
        name="list-append",
        synonyms=("append",),
        title="transactions that append to lists and read them, against --isolation",
        functions=(Function(name="txn", takes=LISTS, gives=LISTS, keyed=never),),
        judge=lists.judge,
        levels=True,
    ),
    Model(
        name="transactions",
        title="strictly serializable transactions that write and read values of several keys, null at first",
        functions=(Function(name="txn", takes=VALUES, gives=VALUES, keyed=never),),
        judge=objects.transactions,
    ),
    Model(
        name="unique-ids",
        title="no id is given out twice",
        functions=(Function(name="generate", synonyms=("next", "nextval"), gives=SOMETHING, keyed=never),),
        judge=counts.unique_ids,
    ),
    Model(
        name="monotonic",
        title="session guarantees on versions that grow; a session is the field session, or the process",
        functions=(
            Function(name="read", synonyms=_READ, gives=PERHAPS_INTEGER),
            Function(name="write", synonyms=_WRITE, takes=PERHAPS_INTEGER, confirms=VERSIONED),
        ),
        judge=counts.sessions,
    ),
    Model(
        name="long-fork",
        title="snapshots of groups of keys follow one another; each key is written once",
        functions=(Function(name="txn", synonyms=("read", "write"), takes=VALUES, gives=VALUES, keyed=never),),
        judge=forks.judge,
    ),
)


def model_named(name: str) -> Model:
    """The model of that name. Raises InputError, which lists the names, for any other."""
    for model in MODELS:
        if name in (model.name, *model.synonyms):
            return model
    names = ", ".join(model.name for model in MODELS)
    fix = f"One of {names}; `halab check --model list` says what each takes"
    raise InputError("--model", [Problem("model", name, "is unknown", fix)])


def listing() -> str:
    """All models, what their operations are called, and what their values look like."""
    return "\n".join(line for model in MODELS for line in _described(model))


def _described(model: Model) -> list[str]:
    names = " or ".join((model.name, *model.synonyms))
    return [f"{names}: {model.title}", *(f"    {_signature(each)}" for each in model.functions)]


def _signature(function: Function) -> str:
    names = "|".join((function.name, *function.synonyms))
    takes = "" if function.takes is ANYTHING else f"  takes {function.takes.words}"
    gives = "" if function.gives is None else f"  gives {function.gives.words}"
    return f"{names}{takes}{gives}"
