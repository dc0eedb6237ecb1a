"""The line protocol between the driver and the recorder.

    {"do": "mark", "record": {"kind": "fault" | "phase", ...}}    written as it is; `t` is set when absent
    {"do": "start_load"}                                          makes the suite's table and starts the clients
    {"do": "stop_load"}                                           returns when operations under way have ended
    {"do": "final", "within_s": 30}                               waits for replicas, then reads every node
    {"do": "stop"}                                                drops the suite's objects, ends the history, exits

Each is answered by {"done": <command>, "ok": true} or {"done": <command>, "ok": false, "error": "..."}, in order.
Before the first command {"ready": true}, once a second a status, and {"error": "..."} before an unwanted exit.
"""

from __future__ import annotations

import json
import queue
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any, TextIO

NAMES = ("mark", "start_load", "stop_load", "final", "stop")


@dataclass(frozen=True, slots=True)
class Command:
    """One line of the driver."""

    name: str
    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Interruption:
    """Why the recorder must end without having been told to stop."""

    reason: str


Message = Command | Interruption


class Inbox:
    """Commands, and the reasons to end that come between them: the driver's end, a signal, an unwritable history."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._messages: queue.SimpleQueue[Message | ValueError] = queue.SimpleQueue()

    def open(self) -> None:
        """Begin to read and to catch SIGTERM. An interrupt of the terminal is the driver's business: it is ignored."""
        signal.signal(signal.SIGTERM, self._on_signal)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def interrupt(self, reason: str) -> None:
        self._messages.put(Interruption(reason))

    def next(self) -> Message:
        """Wait for the next message. Raises ValueError for a line that is no command."""
        message = self._messages.get()
        if isinstance(message, ValueError):
            raise message
        return message

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self.interrupt(signal.Signals(number).name)

    def _read(self) -> None:
        for line in self._stream:
            if line.strip():
                self._messages.put(_parsed(line))
        self.interrupt("the driver went away")


def _parsed(line: str) -> Command | ValueError:
    try:
        document = json.loads(line)
    except ValueError as error:
        return ValueError(f"not JSON: {error}")
    if not isinstance(document, dict) or document.get("do") not in NAMES:
        return ValueError(f"not a command: {line.strip()[:80]!r}; `do` is one of {', '.join(NAMES)}")
    return Command(document.pop("do"), document)


class Outbox:
    """Answers and status, one JSON object a line. A driver that no longer reads is noticed by the inbox, not here."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._lock = threading.Lock()

    def send(self, message: Mapping[str, Any]) -> None:
        with self._lock:
            try:
                self._stream.write(json.dumps(message, separators=(",", ":")) + "\n")
                self._stream.flush()
            except (BrokenPipeError, ValueError):
                pass
