"""How a model is described: what its operations are called, what their values look like, who judges it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from halab.consistency.finding import Finding
from halab.imports.history import Entry, History
from halab.imports.naming import Naming
from halab.imports.shapes import ANYTHING, Confirmation, Shape, beside


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One kind of operation.

    `takes` is the value of the invocation, which has to be named, if only as null, where it is `explicit`; `gives` that
    of an ok completion, None where it is of no account but to confirm. `keyed` says of an invocation's value whether it
    is [key, value], as those of jepsen.independent are.
    """

    name: str
    synonyms: tuple[str, ...] = ()
    takes: Shape = ANYTHING
    explicit: bool = False
    gives: Shape | None = None
    confirms: Confirmation | None = None
    keyed: Callable[[Any], bool] = beside


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A history to be judged, and how. Words may name operations and values as `naming` does; they are put right later.

    `isolation` is for models that have levels, `limit_s` for those whose cost can explode.
    """

    history: History
    naming: Naming
    isolation: str
    limit_s: float

    def entries(self, *names: str) -> list[Entry]:
        """The operations of these kinds, all without any."""
        return [entry for entry in self.history.entries if entry.f in names] if names else list(self.history.entries)


Judge: TypeAlias = Callable[[Task], Finding]


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A row of the table of models."""

    name: str
    synonyms: tuple[str, ...] = ()
    title: str
    functions: tuple[Function, ...]
    judge: Judge
    levels: bool = False

    def functions_by_name(self) -> dict[str, Function]:
        """Each function by each of its names."""
        return {name: each for each in self.functions for name in (each.name, *each.synonyms)}
