# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Addresses as this machine sees them: whose they are, who controls us from where, and what is connected now."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.halab.faults.plugins.module_utils import packets, procs
from ansible_collections.halab.faults.plugins.module_utils.host import require_program
from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError
from ansible_collections.halab.faults.plugins.module_utils.probes import run

SSH_PORT = 22
_ESTABLISHED = "01"
_ETHERNET = "1"


@dataclass(frozen=True, slots=True)
class Connection:
    """An established TCP connection of this machine."""

    local: str
    local_port: int
    remote: str
    remote_port: int


def resolve(names: Sequence[str], *, key: str = "peers") -> tuple[str, ...]:
    """Literal addresses of names or addresses, in order, once each. Raises FaultError naming what does not resolve."""
    return tuple(dict.fromkeys(address for name in names for address in _resolved(name, key)))


def _resolved(name: str, key: str) -> list[str]:
    literal = plain(name)
    if literal:
        return [literal]
    try:
        answers = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM) if name else []
    except (OSError, UnicodeError):
        answers = []
    if not answers:
        raise FaultError(
            f"{key} = {name!r}: is not an address, and this machine cannot resolve it. "
            "Give the address at which the peer talks to this machine. Nothing was changed."
        )
    return list(dict.fromkeys(plain(str(answer[4][0])) for answer in answers))


def plain(address: str) -> str:
    """An address in its one short form, without a zone, IPv4 where IPv6 only wraps it; empty when it is none."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(parsed)


def family(address: str) -> int:
    """4 or 6."""
    return ipaddress.ip_address(address).version


def is_own(address: str) -> bool:
    """Whether this machine holds the address. Raises ValueError for a name."""
    parsed = ipaddress.ip_address(address)
    try:
        return ipaddress.ip_address(packets.source_to(address)) == parsed
    except OSError:
        return False


def require_peer(address: str, *, key: str = "peers") -> None:
    """Raises FaultError when the address cannot be another machine's, or is that of our controller."""
    parsed = ipaddress.ip_address(address)
    reason = ""
    if parsed.is_loopback or is_own(address):
        reason = "is an address of this machine itself"
    elif parsed.is_multicast or parsed.is_unspecified or address == "255.255.255.255":
        reason = "is not the address of one machine"
    elif address in controllers():
        reason = "the target is the controller, from which this machine is reached by SSH"
    if reason:
        raise FaultError(f"{key} = {address!r}: {reason}. Take it out of the list. Nothing was changed.")


def controllers() -> frozenset[str]:
    """Addresses from which whoever started us came by SSH; also where sudo has cleared the environment."""
    found = {_client(value) for value in _ssh_connections()}
    return frozenset(found - {""})


def ssh_ports() -> frozenset[int]:
    """Ports of this machine at which its SSH server is reached."""
    words = (value.split() for value in _ssh_connections())
    return frozenset({SSH_PORT, *(int(parts[3]) for parts in words if len(parts) == 4 and parts[3].isdigit())})


def _client(value: str) -> str:
    return plain(value.split(maxsplit=1)[0]) if value.split() else ""


def _ssh_connections() -> Iterator[str]:
    """SSH_CONNECTION of this process and of each that it descends from."""
    yield os.environ.get("SSH_CONNECTION", "")
    process = procs.read(os.getppid())
    while process is not None and process.pid > 1:
        with contextlib.suppress(OSError):
            for word in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
                if word.startswith(b"SSH_CONNECTION="):
                    yield word.partition(b"=")[2].decode(errors="replace")
        process = procs.read(process.ppid)


def connections() -> list[Connection]:
    """Established TCP connections of this machine's own sockets."""
    found = []
    for name in ("tcp", "tcp6"):
        path = Path("/proc/net") / name
        if path.exists():
            found += parse_connections(path.read_text(encoding="ascii"))
    return found


def parse_connections(text: str) -> list[Connection]:
    """Established connections in the form of proc_net_tcp(5)."""
    found = []
    for line in text.splitlines()[1:]:
        _number, local, remote, state, *_rest = line.split()
        if state == _ESTABLISHED:
            found.append(Connection(*_endpoint(local), *_endpoint(remote)))
    return found


def _endpoint(text: str) -> tuple[str, int]:
    """The kernel prints an address as words of 32 bits in its own byte order."""
    address, port = text.split(":")
    words = [int(address[start : start + 8], 16) for start in range(0, len(address), 8)]
    packed = struct.pack(f"={len(words)}I", *words)
    return plain(str(ipaddress.ip_address(packed))), int(port, 16)


def devices_to(addresses: Sequence[str]) -> Mapping[str, str]:
    """Hardware address by name of the Ethernet devices that lead to the addresses now; others are left out.

    Raises FaultError when there is no way to one of them.
    """
    program = require_program("ip", package="iproute2", purpose="finding the way to a peer")
    found = {}
    for address in addresses:
        code, out, err = run([program, "-j", "route", "get", address])
        if code != 0:
            raise FaultError(
                f"peers = {address!r}: this machine has no route to it ({err or out}), so there is nothing to cut. "
                "Nothing was changed."
            )
        device = str(json.loads(out)[0].get("dev", ""))
        folder = Path("/sys/class/net") / device
        with contextlib.suppress(OSError):
            if (folder / "type").read_text(encoding="ascii").strip() == _ETHERNET:
                found[device] = (folder / "address").read_text(encoding="ascii").strip()
    return found
