"""The workloads that a scenario can name. Each is a module of this package and brings the promise of the same name."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from halab.workloads.actor import Actor, Setting

NAMES: Final[tuple[str, ...]] = (
    "bank",
    "batches",
    "cache",
    "counter",
    "etcd_lock",
    "etcd_register",
    "etcd_watch",
    "list_append",
    "redis_writes",
    "register",
    "sessions",
    "unique_ids",
    "vectors",
    "work",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A number or, where there are `choices`, a word; `default` says which of them, and whether it is whole."""

    words: str
    default: int | float | str
    smallest: float = 0.0
    largest: float = 1e9
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What its clients do, and how they are made.

    `kinds` are the operations that must be acknowledged for a verdict to mean anything; the acknowledgement of one of
    `writes` says that a primary of PostgreSQL has committed. The first of `routes` is the
    default. `needs` is the inventory group whose service it uses. `tables` are statements that make its objects in the
    suite's schema, `{name}`. `resolver` makes a client that reads back, after the load, all that was written.
    `prepare` and `remove` make and remove what is not in PostgreSQL.
    """

    name: str
    words: str
    kinds: tuple[str, ...]
    writes: tuple[str, ...] = ()
    routes: tuple[str, ...]
    actor: Callable[[Setting], Actor]
    needs: str = "patroni"
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    tables: Callable[[Mapping[str, Any]], tuple[str, ...]] | None = None
    resolver: Callable[[Setting], Actor] | None = None
    prepare: Callable[[Setting], None] | None = None
    remove: Callable[[Setting], None] | None = None


def workload(name: str) -> Workload:
    """The workload called `name`. Raises KeyError."""
    if name not in NAMES:
        raise KeyError(name)
    return cast(Workload, importlib.import_module(f"halab.workloads.{name}").WORKLOAD)
