"""Records to lines of JSON and back, strictly: a line that breaks the contract is refused by key and value."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn, cast, get_args, get_origin, get_type_hints

import msgspec
from msgspec.structs import fields

from halab.history.records import (
    EXTRAS,
    NOTES,
    VERSION,
    Complete,
    FaultEvent,
    FinalRead,
    Header,
    Invoke,
    Observation,
    Opaque,
    Phase,
    Record,
)

KINDS: Final[dict[str, type[Any]]] = {
    kind.kind: kind for kind in (Header, Phase, Invoke, Complete, FaultEvent, Observation, FinalRead)
}

_NO_EXTRAS: Final[frozenset[str]] = frozenset()
_SHOWN: Final = 3
"""Strange names that are told one by one."""

_PLAIN_NAMES: Final = {
    str: "a string", int: "an integer", float: "a number", bool: "true or false", list: "a list", dict: "an object",
    type(None): "null",
}  # fmt: skip


class RecordError(ValueError):
    """One record breaks the contract; the message names the key, the value and what was expected."""


@dataclass(frozen=True, slots=True)
class _Key:
    """What one key of a record kind may hold; no `types` means any JSON value, `words` lists the only strings."""

    required: bool
    types: frozenset[type[Any]]
    words: frozenset[str]

    def expected(self) -> str:
        if self.words:
            return "one of " + ", ".join(sorted(self.words))
        return " or ".join(_PLAIN_NAMES[plain] for plain in _PLAIN_NAMES if plain in self.types)


def _key(hint: Any, *, required: bool) -> _Key:
    if get_origin(hint) is Literal:
        return _Key(required, frozenset({str}), frozenset(get_args(hint)))
    types: set[type[Any]] = set()
    for part in get_args(hint) if isinstance(hint, type(int | str)) else (hint,):
        plain = get_origin(part) or part
        types.add(plain if plain in _PLAIN_NAMES else list if plain is tuple else dict)
    if float in types:
        types.add(int)
    return _Key(required, frozenset() if len(types) == len(_PLAIN_NAMES) else frozenset(types), frozenset())


def _contract(kind: type[Any]) -> dict[str, _Key]:
    hints = get_type_hints(kind)
    return {item.name: _key(hints[item.name], required=item.required) for item in fields(kind) if item.name != "extra"}


_CONTRACTS: Final = {name: _contract(kind) for name, kind in KINDS.items()}
_WORDS: Final = {
    name: tuple((key, rule.words) for key, rule in contract.items() if rule.words)
    for name, contract in _CONTRACTS.items()
}


def _refuse_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


class Decoder:
    """Parses lines; remembers the shapes (keys and types) that it has found valid, which makes strictness cheap."""

    def __init__(self) -> None:
        self._scan = json.JSONDecoder(parse_constant=_refuse_constant).raw_decode
        self._scan_many = json.JSONDecoder(parse_constant=_refuse_constant).decode
        self._known: set[tuple[object, ...]] = set()
        self._strange: Counter[tuple[str, str | None]] = Counter()

    @property
    def strange(self) -> str:
        """In words, kinds and keys that no recorder of this version writes; empty where there was none.

        There is no other version that this one reads, so they are names that were damaged, and what they named is lost.
        """
        found = [_strange(name, key, number) for (name, key), number in self._strange.items()]
        more = [f"{len(found) - _SHOWN} more such names"] if len(found) > _SHOWN else []
        return ", ".join([*found[:_SHOWN], *more])

    def decode(self, line: str) -> Record:
        """The record on `line`, given without surrounding white space.

        Raises RecordError for a broken contract, ValueError (json.JSONDecodeError) where the line is not JSON.
        """
        value, end = self._scan(line)
        if end != len(line):
            raise RecordError(f"text after the record: {line[end : end + 40]!r}; write one record a line")
        return self.record(value)

    def decode_many(self, lines: Sequence[str]) -> list[Record] | None:
        """The records on `lines`, twice as fast as one by one; None where any line is at fault: decode each to know."""
        before = self._strange.copy()
        try:
            values = self._scan_many(f"[{','.join(lines)}]")
            if len(values) == len(lines):
                return [self.record(value) for value in values]
        except ValueError:
            pass
        self._strange = before
        return None

    def record(self, value: Any) -> Record:
        """The record that a parsed JSON `value` stands for. Raises RecordError."""
        if type(value) is not dict:
            raise RecordError(f"expected an object with the key kind, found {_short(value)}")
        name = value.pop("kind", None)
        if type(name) is not str:
            raise RecordError(f"key kind: expected a string, found {_short(name)}")
        kind = KINDS.get(name)
        if kind is None:
            if name not in NOTES:
                self._strange[name, None] += 1
            return Opaque(kind=name, fields=value)
        shape = (name, *value, *map(type, value.values()))
        if shape not in self._known:
            _check_shape(name, value)
            if "extra" in value or not value.keys() <= _CONTRACTS[name].keys():
                value = _with_extra(name, value)
                for key in value["extra"].keys() - EXTRAS.get(name, _NO_EXTRAS):
                    self._strange[name, key] += 1
            else:
                self._known.add(shape)
        for key, words in _WORDS[name]:
            if value[key] not in words:
                raise RecordError(f"key {key}: expected {_CONTRACTS[name][key].expected()}, found {_short(value[key])}")
        refine = _REFINEMENTS.get(name)
        if refine is not None:
            refine(value)
        return cast(Record, kind(**value))


def _strange(name: str, key: str | None, number: int) -> str:
    records = "1 record" if number == 1 else f"{number} records"
    if key is None:
        return f"{records} of unknown kind {_short(name)}"
    return f"{records} of kind {name} with the unknown key {_short(key)}"


def _short(value: object) -> str:
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def _check_shape(name: str, value: dict[str, Any]) -> None:
    for key, rule in _CONTRACTS[name].items():
        if key not in value:
            if rule.required:
                raise RecordError(f"key {key}: missing from a record of kind {name}; expected {rule.expected()}")
        elif rule.types and type(value[key]) not in rule.types:
            raise RecordError(f"key {key}: expected {rule.expected()}, found {_short(value[key])}")


def _with_extra(name: str, value: dict[str, Any]) -> dict[str, Any]:
    known = _CONTRACTS[name]
    split: dict[str, Any] = {key: item for key, item in value.items() if key in known}
    split["extra"] = {key: item for key, item in value.items() if key not in known}
    return split


def _refine_header(value: dict[str, Any]) -> None:
    version = value.get("version", VERSION)
    if version != VERSION:
        raise RecordError(f"key version: expected {VERSION}, found {version}; read it with the halab that wrote it")


def _refine_observation(value: dict[str, Any]) -> None:
    if value["t_end"] < value["t"]:
        raise RecordError(f"key t_end: {value['t_end']} is before t {value['t']}")


def _refine_final(value: dict[str, Any]) -> None:
    ids = value.get("ids")
    if ids is None:
        return
    for item in ids:
        if type(item) is not list or len(item) != 2 or [type(end) for end in item] != [int, int] or item[0] > item[1]:
            raise RecordError(f"key ids: expected closed ranges [first, last] of integers, found {_short(item)}")
    value["ids"] = tuple((first, last) for first, last in ids)


_REFINEMENTS: Final[dict[str, Callable[[dict[str, Any]], None]]] = {
    "header": _refine_header,
    "observe": _refine_observation,
    "final": _refine_final,
}

_REQUIRED: Final = {
    kind: tuple(key for key, rule in contract.items() if rule.required) for kind, contract in _CONTRACTS.items()
}
_OPTIONAL: Final = {
    kind: tuple(key for key, rule in contract.items() if not rule.required) for kind, contract in _CONTRACTS.items()
}
_ENCODE: Final = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False).encode


_PLAIN: Final = frozenset({type(None), bool, int, str})
_WRITE: Final = msgspec.json.Encoder().encode


def encode(record: Record) -> bytes:
    """One line (without its end) for `record`. Raises TypeError or ValueError for what JSON cannot hold."""
    if _is_plain(record):
        return _WRITE(record)
    if isinstance(record, Opaque):
        return _ENCODE({"kind": record.kind, **record.fields}).encode()
    kind = record.kind
    line: dict[str, Any] = {"kind": kind}
    for name in _REQUIRED[kind]:
        line[name] = getattr(record, name)
    for name in _OPTIONAL[kind]:
        value = getattr(record, name)
        if value is not None:
            line[name] = value
    if record.extra:
        line.update((key, item) for key, item in record.extra.items() if key not in line)
    return _ENCODE(line).encode()


def _is_plain(record: Record) -> bool:
    """Whether msgspec writes it as json would, in a tenth of the time: nearly all records of a load are such.

    Not what may hold a float, for it writes NaN as null, nor the words of an error, which need not be Unicode.
    """
    if isinstance(record, Complete):
        return record.error is None and record.extra is None and type(record.value) in _PLAIN
    if isinstance(record, Invoke):
        return record.extra is None and type(record.value) in _PLAIN and type(record.key) in _PLAIN
    return False
