# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: where a lab is: its id, its folders and its addresses.

Everything here is a pure function of its arguments, so that the inventory plugin and the modules
agree without talking to each other.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
from pathlib import Path
from typing import Any

FIRST_HOST_NUMBER = 11
RESERVED_FROM = 200  # host numbers from here on are for virtual addresses


class LayoutError(Exception):
    """A lab cannot be laid out as described; the message names key, value and fix."""


def lab_id(name: str, inventory_dir: str) -> str:
    """Id of a lab: the name a person gave it and the folder that describes it, so that two checkouts never collide."""
    digest = hashlib.sha256(os.path.realpath(inventory_dir).encode()).hexdigest()
    return f"{name}-{digest[:6]}"


def state_home() -> Path:
    """Folder of all labs' secrets and keys: XDG_STATE_HOME/halab, outside every repository."""
    base = os.environ.get("XDG_STATE_HOME") or os.path.join(os.path.expanduser("~"), ".local", "state")
    return Path(base) / "halab"


def read_record(state_dir: Path) -> dict[str, Any]:
    """The lab's record of what was really created (subnet, engine, host numbers); empty before the first create."""
    path = state_dir / "lab.json"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise LayoutError(f"{path}: not JSON ({error}). Remove the file and run playbooks/create.yml again.") from error
    if not isinstance(record, dict):
        raise LayoutError(f"{path}: not a JSON object. Remove the file and run playbooks/create.yml again.")
    return record


def preferred_subnet(lab: str, pool: str) -> str:
    """The /24 a lab asks for first: a stable choice from the pool by the lab's id."""
    subnets = candidate_subnets(lab, pool)
    return subnets[0]


def candidate_subnets(lab: str, pool: str) -> list[str]:
    """Every /24 of the pool, starting at the lab's own preference."""
    try:
        network = ipaddress.ip_network(pool)
        subnets = [str(subnet) for subnet in network.subnets(new_prefix=24)]
    except ValueError as error:
        raise LayoutError(
            f"subnet_pool: {pool!r} cannot be divided into /24 networks ({error}). Give one like 10.212.0.0/14."
        ) from error
    start = int(hashlib.sha256(lab.encode()).hexdigest(), 16) % len(subnets)
    return subnets[start:] + subnets[:start]


def assign_numbers(hosts: list[str], recorded: dict[str, int]) -> dict[str, int]:
    """Host number of every host: what was recorded stays, new hosts take the lowest free numbers in order."""
    numbers = {host: recorded[host] for host in hosts if host in recorded}
    free = (n for n in range(FIRST_HOST_NUMBER, RESERVED_FROM) if n not in set(recorded.values()))
    for host in hosts:
        if host not in numbers:
            try:
                numbers[host] = next(free)
            except StopIteration:
                raise LayoutError(
                    f"hosts: {len(hosts)} machines do not fit into one lab "
                    f"({RESERVED_FROM - FIRST_HOST_NUMBER} at most). Use a second inventory."
                ) from None
    return numbers


def address(subnet: str, number: int) -> str:
    """Address number `number` of a subnet."""
    network = ipaddress.ip_network(subnet)
    if not 1 <= number < network.num_addresses - 1:
        raise LayoutError(f"addresses: {number} is not a host number of {subnet}.")
    return str(network.network_address + number)


def mac_address(lab: str, host: str) -> str:
    """A machine keeps its hardware address over a power cycle, as a real one does."""
    digest = hashlib.sha256(f"{lab}/{host}".encode()).digest()
    return "02:" + ":".join(f"{byte:02x}" for byte in digest[:5])
