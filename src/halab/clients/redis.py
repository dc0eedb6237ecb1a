"""What one Sentinel says, asked once: redis-py's own retries would hide a dead Sentinel and repeat writes."""

from __future__ import annotations

from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from halab.errors import HalabError
from halab.inventory import RedisGroup, RedisMember, Tls


class SentinelError(HalabError):
    """A Sentinel did not answer, or knows no master of this name."""


def access(group: RedisGroup, tls: Tls) -> dict[str, Any]:
    """How redis-py proves who it is and checks the server, as far as the group asks for it."""
    files = {"ssl_ca_certs": tls.ca_file, "ssl_certfile": tls.cert_file, "ssl_keyfile": tls.key_file}
    used = {name: str(path) for name, path in files.items() if path is not None} if group.tls else {}
    return {"username": group.admin_user or None, "password": group.admin_password or None, **used}


class SentinelEndpoint:
    """The Sentinel beside one Redis server."""

    def __init__(self, group: RedisGroup, member: RedisMember, tls: Tls, *, within_s: float) -> None:
        self._group = group
        self._name = f"{member.host.address}:{member.sentinel_port}"
        # Typed as anything: whether execute_command is typed depends on stubs that need not be installed.
        self._client: Any = redis.Redis(
            host=member.host.address,
            port=member.sentinel_port,
            ssl=group.tls,
            **access(group, tls),
            socket_timeout=within_s,
            socket_connect_timeout=within_s,
            retry=Retry(NoBackoff(), 0),
        )

    def master(self) -> tuple[str, int]:
        """Address (or announced name) and port of the master that this Sentinel follows. Raises SentinelError."""
        try:
            answer = self._client.execute_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._group.master_name)
        except redis.RedisError as error:
            raise SentinelError(f"Sentinel {self._name}: {type(error).__name__}: {error}") from None
        if not answer:
            raise SentinelError(f"Sentinel {self._name} knows no master called {self._group.master_name}")
        address, port = answer
        return _text(address), int(port)

    def close(self) -> None:
        self._client.close()


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
