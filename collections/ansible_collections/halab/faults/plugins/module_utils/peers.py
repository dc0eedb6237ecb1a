# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Words for peers and ports, as people write them in scenarios and on command lines, turned into hosts and numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

OTHERS = "others"
_HIGHEST_PORT = 65535


def peers(wanted: str | Iterable[str], groups: Mapping[str, Sequence[str]], *, of: str) -> list[str]:
    """Hosts that `wanted` names, in order, once each: `others`, groups or hosts. A group stands for all of it but `of`.

    Raises ValueError naming what is unknown, or when nobody is left.
    """
    hosts = groups["all"]
    found: list[str] = []
    for word in _words(wanted):
        if word == OTHERS:
            found += [host for host in hosts if host != of]
        elif word in hosts:
            if word == of:
                raise ValueError(f"peers = {word!r}: is the target itself. Name other machines.")
            found.append(word)
        elif word in groups:
            found += [host for host in groups[word] if host != of]
        else:
            known = ", ".join(sorted({*hosts, *groups} - {"all", "ungrouped"}))
            raise ValueError(
                f"peers = {word!r}: is no host or group of the inventory. Give {OTHERS} or any of {known}."
            )
    if not found:
        raise ValueError(f"peers = {wanted!r}: names nobody but {of}. Give {OTHERS}, groups or hosts.")
    return list(dict.fromkeys(found))


def ports(wanted: str | int | Iterable[str | int], named: Mapping[str, Iterable[int | str]]) -> list[int]:
    """Port numbers that `wanted` names, in order, once each: numbers, or words of `named`.

    Raises ValueError naming what is neither.
    """
    found: list[int] = []
    for word in _words(wanted):
        if word in named:
            found += [int(port) for port in named[word]]
        elif word.isdigit() and 1 <= int(word) <= _HIGHEST_PORT:
            found.append(int(word))
        else:
            raise ValueError(
                f"ports = {word!r}: is no port. Give numbers from 1 to {_HIGHEST_PORT}, or any of {', '.join(named)}."
            )
    return list(dict.fromkeys(found))


def _words(wanted: str | int | Iterable[str | int]) -> list[str]:
    """A list, or a text with commas."""
    items = str(wanted).split(",") if isinstance(wanted, str | int) else list(wanted)
    return [word for item in items if (word := str(item).strip())]
