"""Reading untrusted mappings: every access is typed, and every problem is kept until all are known."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from halab.errors import Problem

T = TypeVar("T")
LARGEST = 1e9


class UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that is given twice, of which YAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 (PyYAML's)
        seen = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                problem = f"key {key_node.value!r} is given twice"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key_node.value)
        return super().construct_mapping(node, deep=deep)


def read_yaml(text: str) -> Any:
    """Parse YAML of plain data. Raises yaml.YAMLError, also for a key that is given twice in one mapping."""
    try:
        return yaml.load(text, Loader=UniqueKeyLoader)  # noqa: S506 (a SafeLoader)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
        # PyYAML lets its constructors' errors through: a day 32, a list as a key, a number of 5,000 digits.
        raise yaml.YAMLError(f"{type(error).__name__}: {error}") from error


def is_file(path: Path) -> bool:
    """Whether there is such a file; what cannot be the name of one, because it is too long, is none."""
    try:
        return path.is_file()
    except OSError:
        return False


def closest(word: str, known: Iterable[str]) -> str:
    """The start of a fix: which known word may have been meant; empty when none is close."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"Is `{close[0]}` meant? " if close else ""


@dataclass(slots=True)
class Table:
    """A mapping out of a file, at `path`. Getters return an empty value after noting a problem."""

    path: str
    values: Mapping[str, Any]
    problems: list[Problem]
    known: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, value: object, path: str, problems: list[Problem]) -> Table:
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            problems.append(Problem(path or "document", value, "is not a mapping", "Write `key: value` lines."))
            value = {}
        return cls(path, {str(key): item for key, item in value.items()}, problems)

    def has(self, key: str) -> bool:
        self.known.add(key)
        return self.values.get(key) is not None

    def allow(self, *keys: str) -> None:
        """Say that these keys may be present."""
        self.known.update(keys)

    def refuse(self, key: str | None, value: object, reason: str, fix: str) -> None:
        self.problems.append(Problem(self._full(key), value, reason, fix))

    def refuse_unknown(self) -> None:
        """Note every key that nothing has asked for."""
        for key in self.values:
            if key not in self.known:
                fix = closest(key, self.known) + f"Known keys: {', '.join(sorted(self.known))}."
                self.refuse(key, self.values[key], "is an unknown key", fix)

    def text(self, key: str, *, default: str | None = None) -> str:
        if not self.has(key):
            return self._missing(key, default, empty="")
        value = self.values[key]
        if not isinstance(value, str) or not value.strip():
            self.refuse(key, value, "is not a text", "Write some words.")
            return ""
        return value

    def flag(self, key: str, *, default: bool | None = None) -> bool:
        if not self.has(key):
            return self._missing(key, default, empty=False)
        value = self.values[key]
        if not isinstance(value, bool):
            self.refuse(key, value, "is neither true nor false", "Write true or false.")
            return False
        return value

    def number(
        self,
        key: str,
        *,
        default: float | None = None,
        smallest: float = 0.0,
        largest: float = LARGEST,
        whole: bool = False,
    ) -> float:
        """A finite number from `smallest` to `largest`."""
        if not self.has(key):
            return self._missing(key, default, empty=0.0)
        value = self.values[key]
        right_kind = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not right_kind or not smallest <= value <= largest:
            noun = "a whole number" if whole else "a number"
            self.refuse(key, value, f"is not {noun} in range", f"Give {noun} from {smallest:g} to {largest:g}.")
            return 0.0
        return float(value)

    def mapping(self, key: str) -> Mapping[str, Any]:
        """A mapping taken as it is; empty when absent."""
        return self.table(key).values

    def words(self, key: str) -> tuple[str, ...]:
        """A list of texts; empty when absent."""
        if not self.has(key):
            return ()
        value = self.values[key]
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            self.refuse(key, value, "is not a list of words", "Write `[one, two]`.")
            return ()
        return tuple(value)

    def table(self, key: str) -> Table:
        """A nested mapping; empty when absent."""
        self.known.add(key)
        return Table.of(self.values.get(key), self._full(key), self.problems)

    def tables(self, key: str) -> list[Table]:
        """A list of mappings; empty when absent."""
        if not self.has(key):
            return []
        value = self.values[key]
        if not isinstance(value, list):
            self.refuse(key, value, "is not a list", "Write `- {...}` entries.")
            return []
        return [Table.of(item, f"{self._full(key)}[{number}]", self.problems) for number, item in enumerate(value)]

    def _full(self, key: str | None) -> str:
        return ".".join(part for part in (self.path, key) if part)

    def _missing(self, key: str, default: T | None, *, empty: T) -> T:
        if default is None:
            self.refuse(key, None, "is missing", f"Add {key}.")
            return empty
        return default
