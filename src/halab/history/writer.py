"""Write a history so that a killed recorder leaves a readable file.

Whole lines only go to the file, in one write(2) a batch, so at most the last line can be cut short. Lines wait in
memory for at most `FLUSH_SECONDS`: a write(2) for every record would give up the interpreter lock between a client's
request and its time stamp and so disturb what is measured. Headers, phases and faults, rare and decisive, do not wait.
"""

from __future__ import annotations

import os
from pathlib import Path
from threading import Event, Lock, Thread
from types import TracebackType
from typing import Final, Self

from halab.errors import HalabError
from halab.history.codec import encode
from halab.history.records import FaultEvent, Header, Phase, Record

FLUSH_SECONDS: Final = 0.05
_DECISIVE: Final = (Header, Phase, FaultEvent)


class WriterError(HalabError):
    """The history can no longer be written; the run must end, since what follows would not be recorded."""


class LineWriter:
    """Writes records to a descriptor, which it owns; `write` may be called from several threads.

    `name` is how errors call what is written to.
    """

    def __init__(self, descriptor: int, *, name: str) -> None:
        self._name = name
        self._descriptor = descriptor
        self._lines: list[bytes | Record] = []
        self._lines_lock = Lock()
        self._file_lock = Lock()
        self._closing = Event()
        self._error: Exception | None = None
        self._thread = Thread(target=self._run, name="history-writer", daemon=True)
        self._thread.start()

    def write(self, record: Record) -> None:
        """Append `record`. Raises WriterError when the file cannot be written or is closed.

        It becomes a line when its batch is written: many at once cost half of what they do one by one, between a
        client's operations. What JSON cannot hold is a defect of ours, so it ends the history like a full disk.
        """
        self._wait(record)
        if isinstance(record, _DECISIVE):
            self.flush()

    def append(self, lines: bytes) -> None:
        """Append whole lines that are encoded already; the last has no line end. Raises WriterError."""
        self._wait(lines)

    def _wait(self, entry: bytes | Record) -> None:
        with self._lines_lock:
            if self._error is not None or self._closing.is_set():
                raise WriterError(self._reason())
            self._lines.append(entry)

    def flush(self) -> None:
        """Give every record written so far to the operating system. Raises WriterError."""
        self._drain()
        if self._error is not None:
            raise WriterError(self._reason())

    def close(self) -> None:
        """Write what waits and close; a second call does nothing. Raises WriterError."""
        with self._lines_lock:
            if self._closing.is_set():
                return
            self._closing.set()
        self._thread.join()
        self._drain()
        os.close(self._descriptor)
        if self._error is not None:
            raise WriterError(self._reason())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _reason(self) -> str:
        if self._error is not None:
            told = self._error.strerror if isinstance(self._error, OSError) else self._error
            return f"{self._name}: cannot be written: {told}"
        return f"{self._name}: the history is closed"

    def _run(self) -> None:
        while not self._closing.wait(FLUSH_SECONDS):
            self._drain()

    def _drain(self) -> None:
        with self._file_lock:
            with self._lines_lock:
                lines, self._lines = self._lines, []
            if not lines or self._error is not None:
                return
            try:
                whole = [line if isinstance(line, bytes) else encode(line) for line in lines]
                data = memoryview(b"\n".join(whole) + b"\n")
                while data:
                    data = data[os.write(self._descriptor, data) :]
            except (OSError, TypeError, ValueError) as error:
                self._error = error


class HistoryWriter(LineWriter):
    """The one writer of a history file.

    Raises FileExistsError for a path that exists: a history is never continued or overwritten.
    """

    def __init__(self, path: Path, header: Header) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        super().__init__(os.open(path, flags, 0o644), name=str(path))
        self.write(header)
