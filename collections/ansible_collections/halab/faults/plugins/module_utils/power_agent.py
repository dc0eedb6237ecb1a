# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands by which the controller notices that a machine was restarted, without a login on it.

A reset is over before anybody can look. What it cannot do is keep a connection: one that was open before it is closed
or reset by the machine, or its keepalives stay unanswered. A restart of the SSH server alone leaves it open.
"""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils.ledger import write_whole
from ansible_collections.halab.faults.plugins.module_utils.waiting import until

_WATCHING_WITHIN_S = 10.0
_KEEPALIVE = ((socket.SO_KEEPALIVE, 1),)
_KEEPALIVE_TCP = ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 3))


def mark_of(directory: Path, entry_id: str) -> Path:
    """Where the watcher of this fault tells what it sees."""
    return directory / f".{entry_id}.watch"


def _watch(arguments: Sequence[str]) -> int:
    """MARK ADDRESS PORT SECONDS: hold a connection to an SSH server and tell when it is cut; ends after SECONDS."""
    mark, address, port = Path(arguments[0]), arguments[1], int(arguments[2])
    deadline = time.monotonic() + float(arguments[3])
    with socket.create_connection((address, port), timeout=_WATCHING_WITHIN_S) as connection:
        for option, value in _KEEPALIVE:
            connection.setsockopt(socket.SOL_SOCKET, option, value)
        for option, value in _KEEPALIVE_TCP:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)
        if not connection.recv(64).startswith(b"SSH-"):
            return 1
        _tell(mark, "watching", f"a connection to {address} port {port} is open")
        how = _cut(connection, deadline)
    if how:
        _tell(mark, "cut", f"a connection to {address} port {port} that was open before was {how}")
    return 0


def _cut(connection: socket.socket, deadline: float) -> str:
    """How the connection ended; empty when it did not in time."""
    while (left := deadline - time.monotonic()) > 0:
        connection.settimeout(left)
        try:
            if not connection.recv(4096):
                return "closed"
        except TimeoutError as error:
            # The deadline's own has no number; the kernel's tells that nobody answers any more.
            if error.errno is not None:
                return "lost (no answer)"
        except OSError as error:
            return f"lost ({error.strerror})"
    return ""


def _tell(mark: Path, state: str, words: str) -> None:
    write_whole(mark, json.dumps({"state": state, "words": words}), synced=False)


def _told(mark: Path) -> tuple[str, str]:
    try:
        told = json.loads(mark.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "none", "nobody watches"
    return str(told["state"]), str(told["words"])


def _watching(arguments: Sequence[str]) -> int:
    """MARK: wait until the watcher's connection is open."""
    if not until(lambda: _told(Path(arguments[0]))[0] != "none", within_s=_WATCHING_WITHIN_S):
        sys.stderr.write(f"the machine's SSH server did not take a connection within {_WATCHING_WITHIN_S:g} s\n")
        return 1
    return 0


def _watched(arguments: Sequence[str]) -> int:
    """MARK: say `cut`, `watching` or `none`, then what was seen."""
    sys.stdout.write("\n".join(_told(Path(arguments[0]))) + "\n")
    return 0


def _unwatch(arguments: Sequence[str]) -> int:
    """MARK: forget what the watcher saw."""
    Path(arguments[0]).unlink(missing_ok=True)
    return 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "power-watch": _watch,
    "power-watching": _watching,
    "power-watched": _watched,
    "power-unwatch": _unwatch,
}
