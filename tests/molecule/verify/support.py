"""Questions that a port answers without a client library: what it says in the clear, and to which certificate."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
from pathlib import Path

from testinfra.host import Host

from ansible_collections.halab.stack.plugins.module_utils import pki

WITHIN_S = 5.0
HTTP = b"GET / HTTP/1.0\r\n\r\n"


def listening(host: Host, *ports: int) -> set[str]:
    """Where a machine listens on these TCP ports, as address:port; * is every address."""
    found = {socket_.removeprefix("tcp://") for socket_ in host.socket.get_listening_sockets()}
    return {place for place in found if place.rpartition(":")[2] in map(str, ports)}


def held_by(host: Host, path: str) -> tuple[str, str, str]:
    """Owner, group and mode of a file or folder, the mode as an octal number."""
    file = host.file(path)
    return file.user, file.group, f"{file.mode:o}"


def enabled_as(host: Host, unit: str) -> str:
    """What systemd says of a unit's start with the machine: enabled, disabled, masked.

    The `is_enabled` of testinfra looks at links of old scripts when a unit is masked, as an image may leave it.
    """
    return str(host.run("systemctl is-enabled %s", unit).stdout).strip()


def in_the_clear(address: str, port: int, sent: bytes = HTTP) -> bytes:
    """What a port says to somebody who does not encrypt; empty when it hangs up. Raises TimeoutError."""
    with socket.create_connection((address, port), WITHIN_S) as plain:
        plain.settimeout(WITHIN_S)
        try:
            plain.sendall(sent)
            return plain.recv(4096)
        except ConnectionError:
            return b""


def over_tls(address: str, port: int, context: ssl.SSLContext, sent: bytes = HTTP) -> bytes:
    """What a port says to a client of these settings.

    Raises ssl.SSLError or ConnectionError when it refuses the certificate: with TLS 1.3 that is known at the first
    read only, because the server reads the client's certificate after the client's handshake has ended.
    """
    with socket.create_connection((address, port), WITHIN_S) as plain:
        plain.settimeout(WITHIN_S)
        with context.wrap_socket(plain, server_hostname=address) as encrypted:
            encrypted.sendall(sent)
            return encrypted.recv(4096)


def certificate_refused(address: str, port: int, context: ssl.SSLContext) -> bool:
    """Whether the server hangs up on these settings before it answers anything."""
    try:
        return over_tls(address, port, context) == b""
    except (ssl.SSLError, ConnectionError):
        return True


def stranger(ca_file: Path, folder: Path) -> ssl.SSLContext:
    """Settings that trust the cluster's authority and show a certificate of another one."""
    now = dt.datetime.now(tz=dt.UTC)
    authority = pki.make_authority("halab", days=1, now=now)
    leaf = pki.issue(authority, pki.Subject("client", server=False), days=1, now=now)
    chain, key = folder / "stranger.crt", folder / "stranger.key"
    chain.write_bytes(leaf.chain)
    key.write_bytes(leaf.key_pem())
    context = ssl.create_default_context(cafile=str(ca_file))
    context.load_cert_chain(str(chain), str(key))
    return context
