# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Commands that compare and put back the limits of a machine, by the command with which its site sets them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence

from ansible_collections.halab.faults.plugins.module_utils.probes import run

NAMES = ("memory", "cpu", "write_iops", "write_bps")
# The kernel rounds memory to pages, and pages have up to 64 KiB.
_PAGE = 65536
_SHARE = 0.001


class HookError(Exception):
    """The site's command failed, or said something that is not a limit."""


def in_force(hook: Sequence[str]) -> dict[str, str]:
    """What the hook says is in force, by name; nothing for a machine without power. Raises HookError."""
    code, out, err = run([*hook, "get"])
    if code != 0:
        raise HookError(f"`{' '.join(hook)} get` failed with code {code}: {err or out}")
    found = {}
    for line in out.splitlines():
        name, separator, value = line.strip().partition("=")
        if not separator and name == "off":
            return {}
        if not separator or not _is_value(value):
            raise HookError(f"`{' '.join(hook)} get` printed {line!r}; it must print NAME=NUMBER or NAME=max, or off")
        found[name] = value
    return found


def same(name: str, one: str, other: str) -> bool:
    """Whether two values are one, up to what the kernel rounds."""
    if "max" in (one, other):
        return one == other
    difference = abs(float(one) - float(other))
    return difference <= (_PAGE if name == "memory" else _SHARE * max(float(one), float(other)))


def _is_value(value: str) -> bool:
    try:
        return value == "max" or float(value) >= 0
    except ValueError:
        return False


def _state(arguments: Sequence[str]) -> int:
    """NAME=VALUE... -- HOOK...: say `as asked`, `other` or `off`, then what is in force."""
    wanted, hook = _split(arguments)
    try:
        found = in_force(hook)
    except HookError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if not found:
        sys.stdout.write("off\nthe machine has no power, so nothing limits it\n")
        return 0
    held = all(same(name, found.get(name, ""), value) for name, value in wanted.items() if name in found)
    held = held and wanted.keys() <= found.keys()
    words = ", ".join(f"{name}={found.get(name, 'unknown')}" for name in wanted)
    sys.stdout.write(f"{'as asked' if held else 'other'}\nthe kernel's limits of the machine: {words}\n")
    return 0


def _back(arguments: Sequence[str]) -> int:
    """As limits-state, but a machine without power is as asked: it has lost our limits with its power."""
    _wanted, hook = _split(arguments)
    try:
        off = not in_force(hook)
    except HookError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if off:
        sys.stdout.write("as asked\nthe machine has no power, so nothing limits it\n")
        return 0
    return _state(arguments)


def _restore(arguments: Sequence[str]) -> int:
    """NAME=VALUE... -- HOOK...: put these values back, unless the machine has no power."""
    wanted, hook = _split(arguments)
    try:
        found = in_force(hook)
    except HookError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    other = [f"{name}={value}" for name, value in wanted.items() if found.get(name) != value]
    if not found or not other:
        return 0
    code, out, err = run([*hook, *other])
    if code != 0:
        sys.stderr.write(f"`{' '.join([*hook, *other])}` failed with code {code}: {err or out}\n")
    return code


def _split(arguments: Sequence[str]) -> tuple[dict[str, str], Sequence[str]]:
    middle = list(arguments).index("--")
    return dict(word.split("=", 1) for word in arguments[:middle]), arguments[middle + 1 :]


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "limits-state": _state,
    "limits-back": _back,
    "limits-restore": _restore,
}
