# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""nftables by tables of our own: one for each fault, made and deleted whole, so that nobody else's rule is touched."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils.ledger import Argv
from ansible_collections.halab.faults.plugins.module_utils.probes import run

PREFIX = "halab_"
_WITHIN_S = 10.0


class NftError(OSError):
    """The nft program failed; holds its own words."""


@dataclass(frozen=True, slots=True)
class Table:
    """What the kernel holds of a table: packets counted by each element of each set, keyed as `key` writes them."""

    sets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def counted(self, name: str) -> dict[str, int]:
        """Packets by address in the IPv4 and IPv6 halves of a set; elements that begin with one address are added."""
        found: dict[str, int] = {}
        for half in (f"{name}4", f"{name}6"):
            for element, packets in self.sets.get(half, {}).items():
                address = element.split(" . ", 1)[0]
                found[address] = found.get(address, 0) + packets
        return found


def table_name(directory: str, entry_id: str) -> str:
    """The table of a fault: the same for the same ledger and id, and a different one for every other."""
    return PREFIX + hashlib.sha256(f"{directory}\0{entry_id}".encode()).hexdigest()[:12]


def transaction(program: str, statements: Iterable[str], *, check: bool = False) -> Argv:
    """All statements or none. With `check` the kernel judges them and keeps none."""
    return (program, *(("-c",) if check else ()), "; ".join(statements))


def removal(program: str, table: str, families: Sequence[str]) -> Argv:
    """Remove the table from each family. Added first, because to delete what is not there would fail."""
    return transaction(program, (f"{verb} table {family} {table}" for family in families for verb in ("add", "delete")))


def elements(table: str, name: str, members: Iterable[str], *, timeout_ms: int | None = None) -> str:
    """Statement that adds members, which the kernel drops after `timeout_ms` milliseconds."""
    ending = "" if timeout_ms is None else f" timeout {timeout_ms}ms"
    return f"add element inet {table} {name} {{ {', '.join(member + ending for member in members)} }}"


def tables(program: str) -> list[str]:
    """Names of our tables, of all families, once each. Raises NftError."""
    found = (item["table"]["name"] for item in _listed(program, "tables") if "table" in item)
    return sorted({name for name in found if name.startswith(PREFIX)})


def read(program: str, table: str) -> Table | None:
    """The table of family inet, None when it is not there. Raises NftError."""
    if table not in tables(program):
        return None
    try:
        listed = _listed(program, "table", "inet", table)
    except NftError:
        # It may have gone between the two questions.
        if table not in tables(program):
            return None
        raise
    return Table({item["set"]["name"]: _packets(item["set"]) for item in listed if "set" in item})


def _listed(program: str, *what: str) -> list[dict[str, Any]]:
    code, out, err = run([program, "-j", "list", *what], within_s=_WITHIN_S)
    if code != 0:
        raise NftError(f"`nft list {' '.join(what)}` failed with code {code}: {err or out}")
    found: list[dict[str, Any]] = json.loads(out)["nftables"]
    return found


def _packets(described: Mapping[str, Any]) -> dict[str, int]:
    found = {}
    for item in described.get("elem", []):
        body = item["elem"] if isinstance(item, dict) and "elem" in item else {"val": item}
        found[_key(body["val"])] = int(body.get("counter", {}).get("packets", 0))
    return found


def _key(value: Any) -> str:
    """An element as nft reads it: parts of a concatenation with dots between."""
    if isinstance(value, dict):
        return " . ".join(str(part) for part in value["concat"])
    return str(value)


def _present(arguments: Sequence[str]) -> int:
    """PROGRAM TABLE: say `present` or `absent`."""
    program, table = arguments
    word = "present" if table in tables(program) else "absent"
    sys.stdout.write(f"{word}\ntable {table} is {word}\n")
    return 0


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {"nft-table": _present}
