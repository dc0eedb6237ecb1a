# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is refused before a link is touched: figures that cannot be, and peers that must not be."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.halab.faults.plugins.module_utils import packets
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError
from ansible_collections.halab.faults.plugins.module_utils.link_shape import Impairment

_PERCENT = ("loss", "duplicate", "corrupt", "reorder")
_LEAST_PERCENT = 0.1
_MOST_DELAY_MS = 10_000.0
_LEAST_RATE_KBIT = 32.0
_MOST_RATE_KBIT = 100_000.0
# A probe of a port is 44 bytes: faster links let them pass before they notice.
_MOST_RATE_OF_PORTS_KBIT = 4_000.0
_NEIGHBOURS = Path("/proc/net/arp")
_COMPLETE = 0x2
_NOTHING = "Nothing was changed."


def impairment(parameters: Mapping[str, Any]) -> Impairment:
    """What is asked for. Raises FaultError naming the parameter."""
    asked = Impairment.load(parameters)
    if not asked.dump():
        raise FaultError(f"delay_ms, loss, ...: all are 0, so nothing would be impaired. Give one. {_NOTHING}")
    for name, value in asked.dump().items():
        if value < 0:
            raise FaultError(f"{name} = {value:g}: is negative. Give 0 or more. {_NOTHING}")
    for name in _PERCENT:
        _check_percent(name, getattr(asked, name))
    _check_delay(asked)
    _check_burst(asked)
    _check_rate(asked, with_ports=bool(parameters["ports"]))
    return asked


def _check_percent(name: str, value: float) -> None:
    if value > 100:
        raise FaultError(f"{name} = {value:g}: is more than 100 %. Give 0, or {_LEAST_PERCENT:g} to 100. {_NOTHING}")
    if 0 < value < _LEAST_PERCENT:
        raise FaultError(
            f"{name} = {value:g}: is too rare to be seen to happen. Give {_LEAST_PERCENT:g} or more. {_NOTHING}"
        )


def _check_delay(asked: Impairment) -> None:
    if asked.delay_ms > _MOST_DELAY_MS:
        raise FaultError(
            f"delay_ms = {asked.delay_ms:g}: is longer than {_MOST_DELAY_MS:g}. Give less, or cut the peers off with "
            f"halab.faults.partition. {_NOTHING}"
        )
    if 0 < asked.delay_ms < 1:
        raise FaultError(f"delay_ms = {asked.delay_ms:g}: cannot be told from none. Give 1 or more. {_NOTHING}")
    if asked.jitter_ms > asked.delay_ms:
        raise FaultError(
            f"jitter_ms = {asked.jitter_ms:g}: is more than delay_ms ({asked.delay_ms:g}), and no packet can arrive "
            f"before it was sent. Give less, or a longer delay_ms. {_NOTHING}"
        )
    if asked.reorder and not asked.delay_ms:
        raise FaultError(
            f"reorder = {asked.reorder:g}: needs delay_ms, because packets overtake those that wait. Give delay_ms. "
            f"{_NOTHING}"
        )
    if asked.reorder == 100:
        raise FaultError(f"reorder = 100: when every packet overtakes, none does. Give less than 100. {_NOTHING}")


def _check_burst(asked: Impairment) -> None:
    if not asked.burst:
        return
    if not asked.loss:
        raise FaultError(f"burst = {asked.burst:g}: is the length of losses, and loss is 0. Give loss. {_NOTHING}")
    if asked.burst < 1:
        raise FaultError(f"burst = {asked.burst:g}: is less than one packet. Give 1 or more. {_NOTHING}")
    most = 100 * asked.burst / (1 + asked.burst)
    if asked.loss > most:
        raise FaultError(
            f"loss = {asked.loss:g}: bursts of {asked.burst:g} packets, with one that arrives between them, lose "
            f"{most:.1f} % at most. Give less loss, or longer bursts. {_NOTHING}"
        )


def _check_rate(asked: Impairment, *, with_ports: bool) -> None:
    rate, most = asked.rate_kbit, _MOST_RATE_OF_PORTS_KBIT if with_ports else _MOST_RATE_KBIT
    if rate and rate < _LEAST_RATE_KBIT:
        raise FaultError(
            f"rate_kbit = {rate:g}: is too small, a single packet would take most of a second. Give "
            f"{_LEAST_RATE_KBIT:g} or more. {_NOTHING}"
        )
    if rate > most:
        why = "with ports, where only small probes can be sent" if with_ports else "by probes"
        raise FaultError(
            f"rate_kbit = {rate:g}: is more than {most:g}, above which it cannot be proven {why}. Give less. {_NOTHING}"
        )


def ports(values: Sequence[int]) -> tuple[int, ...]:
    for port in values:
        if not 1 <= port <= 65535:
            raise FaultError(f"ports = {port}: is not a port. Give numbers from 1 to 65535. {_NOTHING}")
    return tuple(dict.fromkeys(values))


def addresses(name: str, values: Sequence[str], controllers: Collection[str]) -> tuple[str, ...]:
    """IPv4 addresses of other machines, each once. Raises FaultError for any that must not be impaired."""
    found = [_address(name, value) for value in values]
    for address in found:
        if address in controllers:
            raise FaultError(
                f"{name} = {address}: is the controller, whose SSH connection is never impaired. Name other machines. "
                f"{_NOTHING}"
            )
    return tuple(dict.fromkeys(found))


def spared(values: Sequence[str], controllers: Collection[str]) -> tuple[str, ...]:
    """IPv4 addresses that are left alone when everybody is impaired. Raises FaultError."""
    # A controller that came by IPv6 is not met by what impairs IPv4.
    came_from = [address for address in controllers if ":" not in address]
    return tuple(sorted({*came_from, *(str(_ipv4("spare", value)) for value in values)}))


def _ipv4(name: str, value: str) -> ipaddress.IPv4Address:
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise FaultError(
            f"{name} = {value!r}: is not an address. Give the peer's IPv4 address, not its name. {_NOTHING}"
        ) from None
    if not isinstance(address, ipaddress.IPv4Address):
        raise FaultError(f"{name} = {value}: is an IPv6 address, and only IPv4 can be impaired. {_NOTHING}")
    return address


def _address(name: str, value: str) -> str:
    address = _ipv4(name, value)
    if address.is_loopback or address.is_unspecified or address.is_multicast:
        raise FaultError(f"{name} = {value}: is not the address of another machine. Name a peer. {_NOTHING}")
    try:
        source = packets.source_to(value)
    except OSError as error:
        raise FaultError(
            f"{name} = {value}: cannot be reached ({error.strerror}). Name a peer of this machine. {_NOTHING}"
        ) from None
    if source == value:
        raise FaultError(f"{name} = {value}: is this machine itself. Name another one. {_NOTHING}")
    return value


def neighbours() -> tuple[str, ...]:
    """Machines of the own networks that this one has spoken to."""
    lines = _NEIGHBOURS.read_text(encoding="ascii").splitlines()[1:]
    rows = [line.split() for line in lines]
    return tuple(row[0] for row in rows if len(row) >= 4 and int(row[2], 16) & _COMPLETE)
