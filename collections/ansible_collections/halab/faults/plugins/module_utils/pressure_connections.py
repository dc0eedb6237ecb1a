# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Injectors that hold connections: of TCP to any server, or sessions of PostgreSQL over its local socket."""

from __future__ import annotations

import contextlib
import os
import pwd
import resource
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import injector, pressure_record

_ANSWER_WITHIN_S = 3.0
_AGAIN_S = 0.25
_PROTOCOL = 196608  # 3.0, PostgreSQL's documentation "Message Formats", StartupMessage
TOO_MANY = "53300"  # SQLSTATE too_many_connections
_OF_OURS = 64  # descriptors that an injector needs for itself


class RefusedError(Exception):
    """The server did not take a connection; `code` is PostgreSQL's SQLSTATE, empty when there is none."""

    def __init__(self, words: str, code: str = "") -> None:
        super().__init__(words)
        self.code = code


@contextlib.contextmanager
def acting_as(name: str) -> Iterator[None]:
    """Connect as an account of this machine: the server's peer authentication asks the kernel who connects.

    Raises KeyError when there is no such account, PermissionError unless root.
    """
    account = pwd.getpwnam(name)
    if os.geteuid() == account.pw_uid:
        yield
        return
    os.setegid(account.pw_gid)
    os.seteuid(account.pw_uid)
    try:
        yield
    finally:
        os.seteuid(os.getuid())
        os.setegid(os.getgid())


def login(path: str, user: str, database: str) -> socket.socket:
    """A session of PostgreSQL that is ready and idle. Raises RefusedError."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(_ANSWER_WITHIN_S)
    try:
        with acting_as(user):
            connection.connect(path)
        words = ("user", user, "database", database, "application_name", "halab")
        body = struct.pack("!I", _PROTOCOL) + b"".join(word.encode() + b"\0" for word in words) + b"\0"
        connection.sendall(struct.pack("!I", len(body) + 4) + body)
        _await_ready(connection)
    except (OSError, EOFError) as error:
        connection.close()
        raise RefusedError(str(error)) from error
    except RefusedError:
        connection.close()
        raise
    return connection


def _await_ready(connection: socket.socket) -> None:
    while True:
        kind, size = struct.unpack("!cI", _exactly(connection, 5))
        body = _exactly(connection, size - 4)
        if kind == b"E":
            fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
            raise RefusedError(fields.get(b"M", "an error without words"), fields.get(b"C", ""))
        if kind == b"R" and struct.unpack("!I", body[:4])[0] != 0:
            raise RefusedError("the server asks for a password, pg_hba.conf does not let the local account in (peer)")
        if kind == b"Z":
            return


def _exactly(connection: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise EOFError("the server closed the connection")
        data += more
    return data


def _reach(address: str, port: int) -> socket.socket:
    try:
        return socket.create_connection((address, port), timeout=_ANSWER_WITHIN_S)
    except OSError as error:
        raise RefusedError(str(error)) from error


def _hold_sessions(arguments: Sequence[str]) -> int:
    """NOTE DEADLINE COUNT SOCKET USER DATABASE: hold COUNT sessions of PostgreSQL, 0 for as many as it takes."""
    note, deadline, count, path, user, database = arguments
    return _hold(Path(note), int(deadline), int(count), lambda: login(path, user, database))


def _hold_tcp(arguments: Sequence[str]) -> int:
    """NOTE DEADLINE COUNT ADDRESS PORT: hold COUNT connections, 0 for as many as the server takes."""
    note, deadline, count, address, port = arguments
    return _hold(Path(note), int(deadline), int(count), lambda: _reach(address, int(port)))


def _hold(note: Path, deadline_ns: int, count: int, connect: Callable[[], socket.socket]) -> int:
    """Open connections, note how many there are, and replace those that the server closes."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    most = min(count or hard, hard - _OF_OURS)
    held: list[socket.socket] = []
    told: dict[str, object] = {}
    while not injector.expired(deadline_ns):
        held = [connection for connection in held if _open(connection)]
        refusal = ""
        while len(held) < most and not refusal and not injector.expired(deadline_ns):
            try:
                held.append(connect())
            except RefusedError as error:
                refusal = str(error)
        if not count and len(held) == most:
            refusal = f"this machine's own limit of {most} descriptors is reached"
        now: dict[str, object] = {"count": len(held), "refusal": refusal, "wanted": count}
        if now != told:
            pressure_record.write(note, now)
            told = now
        time.sleep(_AGAIN_S)
    return 0


def _open(connection: socket.socket) -> bool:
    """Whether the other side still holds it; what it says meanwhile is thrown away."""
    connection.setblocking(False)
    try:
        while connection.recv(65536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    connection.close()
    return False


def _sessions(arguments: Sequence[str]) -> int:
    """LEDGER ID COUNT SOCKET USER DATABASE: say `held` (or `exhausted` for COUNT 0), `growing`, `full` or `free`.

    `exhausted` is what one more login was told by the server; `full` is that without an injector of ours.
    """
    directory, entry_id, count, path, user, database = arguments
    held, words = _held(Path(directory), entry_id)
    if int(count) and held is not None:
        return _say("held" if held >= int(count) else "growing", words)
    try:
        login(path, user, database).close()
    except RefusedError as error:
        if error.code == TOO_MANY:
            return _say("full" if held is None else "exhausted", f"{words}; one more is refused: {error}")
        return _say("free" if held is None else "growing", f"{words}; one more fails: {error}")
    return _say("free" if held is None else "growing", f"{words}; one more is taken")


def _connections(arguments: Sequence[str]) -> int:
    """LEDGER ID COUNT: say `held`, `growing` or `free`; for COUNT 0 `held` is that the server takes no more."""
    directory, entry_id, count = Path(arguments[0]), arguments[1], int(arguments[2])
    held, words = _held(directory, entry_id)
    if held is None:
        return _say("free", words)
    refusal = str(pressure_record.read(pressure_record.path_of(directory, entry_id)).get("refusal", ""))
    full = held >= count if count else bool(refusal) and held > 0
    return _say("held" if full else "growing", f"{words}{'; one more fails: ' if refusal else ''}{refusal}")


def _held(directory: Path, entry_id: str) -> tuple[int | None, str]:
    """How many connections the kernel shows in the injector, None when none runs."""
    process = injector.running(directory, entry_id)
    if process is None:
        return None, "no injector holds connections"
    established = 0
    inodes = _inodes()
    for path in Path(f"/proc/{process.pid}/fd").iterdir():
        if path.name in ("0", "1", "2"):
            continue  # a service's output is a socket too
        with contextlib.suppress(OSError):
            established += os.readlink(path) in inodes
    return established, f"process {process.pid} holds {established} connections"


def _inodes() -> set[str]:
    """Sockets that are connected, as /proc names them in a process."""
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{name}").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "01":
                found.add(f"socket:[{fields[9]}]")
    for line in Path("/proc/net/unix").read_text(encoding="utf-8", errors="replace").splitlines()[1:]:
        fields = line.split()
        if fields[5] == "03":
            found.add(f"socket:[{fields[6]}]")
    return found


def _say(state: str, words: str) -> int:
    sys.stdout.write(f"{state}\n{words}\n")
    return 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "pressure-sessions": _hold_sessions,
    "pressure-sessions-held": _sessions,
    "pressure-connections": _hold_tcp,
    "pressure-connections-held": _connections,
}
