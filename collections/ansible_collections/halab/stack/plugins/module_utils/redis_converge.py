# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Bring a running Redis server or Sentinel to its declared settings without ever touching the topology."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from ansible_collections.halab.stack.plugins.module_utils import redis_files
from ansible_collections.halab.stack.plugins.module_utils.resp import Access, Connection, ReplyError, RespError

Found = TypeVar("Found")

_POLL_S = 0.1
_DEFAULTS = {"bind": "* -::*", "logfile": "", "tls-auth-clients": "yes", "tls-replication": "no"}
"""A Sentinel that writes its file leaves out what has the default value (config.c, rewriteConfigState)."""


class ConvergeError(Exception):
    """A setting that cannot be made so; the message names it, its value and the reason, and holds no secret."""


@dataclasses.dataclass(frozen=True, slots=True)
class Process:
    """One server process of this host and its files. `acl` is the text of its access rules."""

    title: str
    address: str
    port: int
    config_file: str
    acl_file: str
    acl: str
    access: Access
    check_mode: bool
    wait_s: float


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One setting that differs. A secret is known by name only."""

    name: str
    before: str
    after: str
    secret: bool = False


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What was changed, and whether the process must be restarted for it."""

    changes: list[Change]
    restart: bool


@dataclasses.dataclass(frozen=True, slots=True)
class AclOutcome:
    """What was changed in the access rules, and whether old and new passwords are valid now."""

    changes: list[Change]
    both: bool


def connect(process: Process) -> Connection:
    """Return a connection to `process` as soon as it serves. Raises ConvergeError after `wait_s` seconds.

    When the declared password is refused, the one in the file of access rules is tried: it is about to be replaced.
    """
    known = redis_files.acl_password(read(process.acl_file), process.access.username)
    passwords = dict.fromkeys([process.access.password, known or process.access.password])

    def attempt() -> Connection:
        refusal: RespError | None = None
        for password in passwords:
            access = dataclasses.replace(process.access, password=password)
            try:
                return Connection(process.address, process.port, access)
            except ReplyError as error:
                if error.code != "WRONGPASS":
                    raise
                refusal = RespError(
                    f"{process.address} port {process.port} refuses the password of user {access.username}; "
                    "restart it when its access rules were changed by hand"
                )
        raise refusal or RespError("no password")

    return until(attempt, wait_s=process.wait_s, what=f"{process.title} to answer")


def until(look: Callable[[], Found], *, wait_s: float, what: str) -> Found:
    """Return what `look` finds once it raises RespError no more. Raises ConvergeError after `wait_s` seconds."""
    end = time.monotonic() + wait_s
    while True:
        try:
            return look()
        except RespError as error:
            if time.monotonic() >= end:
                raise ConvergeError(f"waited {wait_s:g} s for {what}: {error}") from error
        time.sleep(_POLL_S)


def converge_acl(process: Process, *, keep_old: bool) -> AclOutcome:
    """Make the declared access rules the ones in force; `keep_old` keeps the old passwords of users valid besides.

    Raises ConvergeError; the old rules then stay in force.
    """
    old = read(process.acl_file)
    wanted = redis_files.with_old_passwords(process.acl, old) if keep_old else process.acl
    if old == process.acl:
        return AclOutcome([], both=False)
    if wanted != old and not process.check_mode:
        with connect(process) as connection:
            redis_files.replace(process.acl_file, wanted)
            try:
                connection.command("ACL", "LOAD")
            except RespError as error:
                redis_files.replace(process.acl_file, old)
                raise ConvergeError(f"{process.acl_file}: {process.title} refuses the access rules: {error}") from error
    return AclOutcome([Change("access rules", "", "", secret=True)], both=wanted != process.acl)


def converge_redis(
    process: Process, *, settings: Mapping[str, str], secrets: Mapping[str, str], reload: Mapping[str, str]
) -> Outcome:
    """Make `settings` and `secrets` those of a Redis server, and have it read the files of `reload` again.

    What cannot be changed at run time is changed in the file, and a restart asked for. Raises ConvergeError.
    """
    changes: list[Change] = []
    wanted = {**settings, **secrets}
    with connect(process) as connection:
        present = connection.table("CONFIG", "GET", *wanted)
        unknown = [name for name in wanted if name not in present]
        if unknown:
            raise ConvergeError(f"this Redis knows no setting {', '.join(unknown)}; remove it from redis_settings")
        differing = {name: value for name, value in wanted.items() if not redis_files.same(present[name], value)}
        changes += [Change(name, present[name], differing[name], name in secrets) for name in differing]
        if process.check_mode:
            return Outcome(changes, restart=False)
        fixed = {name: value for name, value in {**differing, **reload}.items() if not _set(connection, name, value)}
        if differing:
            connection.command("CONFIG", "REWRITE")
    if fixed:
        words = {name: [value] for name, value in fixed.items()}
        redis_files.replace(process.config_file, redis_files.with_directives(read(process.config_file), words))
    return Outcome(changes, restart=bool(fixed))


def converge_sentinel(
    process: Process,
    *,
    master_name: str,
    master: tuple[str, int],
    settings: Mapping[str, str],
    of_master: Mapping[str, str],
    of_sentinel: Mapping[str, str],
    secret: frozenset[str],
) -> Outcome:
    """Make the settings of a Sentinel the declared ones. Raises ConvergeError.

    `settings` are those of the process (changed in its file, with a restart), `of_master` those of the master it
    watches, `of_sentinel` its own. Only when it watches no master of this name yet, it is told about `master`.
    """
    changes: list[Change] = []
    present = redis_files.directives(read(process.config_file))
    with connect(process) as connection:
        known = _watched(connection, master_name)
        if known is None:
            changes.append(Change(f"monitor {master_name}", "", master[0]))
            if not process.check_mode:
                connection.command("SENTINEL", "MONITOR", master_name, *master, of_master["quorum"])
            known = {}
        known |= {key: _word(present, f"sentinel {key} {master_name}") for key in ("auth-user", "auth-pass")}
        own = {key: _word(present, f"sentinel {key}") for key in of_sentinel}
        for prefix, wanted, now in (
            (("SENTINEL", "SET", master_name), of_master, known),
            (("SENTINEL", "CONFIG", "SET"), of_sentinel, own),
        ):
            for name in (name for name in wanted if not redis_files.same(now.get(name, ""), wanted[name])):
                changes.append(Change(name, now.get(name, ""), wanted[name], name in secret))
                if not process.check_mode:
                    connection.command(*prefix, name, wanted[name])
    filed = {name: _word(present, name) or _DEFAULTS.get(name, "") for name in settings}
    differing = {name: value for name, value in settings.items() if not redis_files.same(filed[name], value)}
    changes += [Change(name, filed[name], value) for name, value in differing.items()]
    if differing and not process.check_mode:
        words = {name: [value] for name, value in differing.items()}
        redis_files.replace(process.config_file, redis_files.with_directives(read(process.config_file), words))
    return Outcome(changes, restart=bool(differing))


def _set(connection: Connection, name: str, value: str) -> bool:
    try:
        connection.command("CONFIG", "SET", name, value)
    except ReplyError as error:
        if "immutable" in str(error) or "protected" in str(error):
            return False
        raise ConvergeError(f"setting {name}: {error}") from error
    return True


def _watched(connection: Connection, master_name: str) -> dict[str, str] | None:
    try:
        return connection.table("SENTINEL", "MASTER", master_name)
    except ReplyError as error:
        if "No such master" in str(error):
            return None
        raise ConvergeError(f"SENTINEL MASTER {master_name}: {error}") from error


def _word(present: Mapping[str, list[str]], name: str) -> str:
    return " ".join(present.get(name, []))


def read(path: str) -> str:
    """Return the text of a file. Raises OSError."""
    with open(path, encoding="utf-8") as stream:
        return stream.read()
