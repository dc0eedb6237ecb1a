"""Read a history file: strict about what is written, tolerant only of a last line cut short by a killed recorder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from halab.errors import HalabError
from halab.history.codec import Decoder, RecordError
from halab.history.memory import without_cyclic_collection
from halab.history.model import History
from halab.history.records import Header, Record

CHUNK_BYTES: Final = 1 << 18


class HistoryError(HalabError):
    """A history file cannot be used; the message names the file, the line, and the key and value at fault."""


@dataclass(frozen=True, slots=True)
class RecordFile:
    """The records of one file. In words, else empty: `torn` that the last line was cut short, `strange` which names in
    it no recorder writes.
    """

    records: tuple[Record, ...]
    torn: str
    strange: str = ""


def read_records(path: Path) -> RecordFile:
    """All records of `path` in the order of the file.

    A last line without a line end that is not whole JSON is left out and reported in `torn`.
    Raises HistoryError for a missing or empty file, a first record that is not a header, and any other broken line.
    """
    decoder = Decoder()
    records: list[Record] = []
    torn = ""
    try:
        with path.open("rb") as file, without_cyclic_collection():
            while lines := file.readlines(CHUNK_BYTES):
                texts = _texts(lines)
                whole = None if texts is None else decoder.decode_many(texts)
                if whole is None:
                    whole, torn = _one_by_one(decoder, lines, path=path, before=len(records))
                records += whole
    except OSError as error:
        raise HistoryError(f"{path}: cannot be read: {error.strerror}") from error
    if not records:
        raise HistoryError(f"{path}: holds no record; the recorder never started or another file was meant")
    if not isinstance(records[0], Header):
        raise HistoryError(f"{path}:1: the first record must be of kind header, found {records[0].kind}")
    return RecordFile(records=tuple(records), torn=torn, strange=decoder.strange)


def read_history(path: Path) -> History:
    """The history in `path`, with operations paired. Raises HistoryError."""
    file = read_records(path)
    try:
        with without_cyclic_collection():
            return History.from_records(file.records, torn=file.torn, strange=file.strange)
    except ValueError as error:
        raise HistoryError(f"{path}: {error}") from error


def _texts(lines: list[bytes]) -> list[str] | None:
    """None where a line is not UTF-8: the slow way finds it."""
    try:
        return b"".join(lines).decode().split("\n")[: len(lines)]
    except UnicodeDecodeError:
        return None


def _one_by_one(decoder: Decoder, lines: list[bytes], *, path: Path, before: int) -> tuple[list[Record], str]:
    """The records of a chunk that holds a fault, and what is torn. Raises HistoryError for any other fault."""
    records: list[Record] = []
    for number, raw in enumerate(lines, before + 1):
        try:
            records.append(decoder.decode(raw.decode().strip()))
        except RecordError as error:
            raise HistoryError(f"{path}:{number}: {error}") from error
        except ValueError as error:
            if raw.endswith(b"\n"):
                raise HistoryError(f"{path}:{number}: not a JSON record: {error}") from error
            return records, f"line {number} was cut short after {len(raw)} bytes"
    return records, ""
