# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Patroni keeps in etcd of one cluster, and whether that cluster is the declared one."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.halab.stack.plugins.module_utils.etcd import (
    EtcdError,
    EtcdUnavailableError,
    Member,
    eventually,
)
from ansible_collections.halab.stack.plugins.module_utils.http import Client, HttpError
from ansible_collections.halab.stack.plugins.module_utils.patroni_api import PatroniError


@dataclass(frozen=True, slots=True)
class State:
    """The keys of one cluster: who initialized it, and the hosts of its members by name."""

    initialized: bool
    identifier: str
    members: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Dcs:
    """Reads, and in the end removes, the keys of one cluster through whichever etcd member answers."""

    members: tuple[Member, ...]
    username: str
    password: str
    prefix: str

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Dcs:
        """Return the reader for a module's parameters. Raises PatroniError when the certificates are unusable."""
        try:
            client = Client.connectable(**{key: parameters[key] for key in ("ca_file", "cert_file", "key_file")})
        except HttpError as error:
            raise PatroniError(str(error)) from error
        members = tuple(Member(client, url, parameters["deadline_s"]) for url in parameters["etcd_endpoints"])
        prefix = f"/{parameters['namespace'].strip('/')}/{parameters['scope']}/"
        # With Citus every group of the scope is a cluster with keys of its own.
        prefix += f"{parameters['group']}/" if parameters.get("group") else ""
        return cls(members, parameters["etcd_username"], parameters["etcd_password"], prefix)

    def read(self, *, within_s: float) -> State:
        """Return the keys as a quorum of etcd knows them. Raises PatroniError when etcd refuses, or stays silent."""
        return parse(self._keys(within_s=within_s), self.prefix)

    def empty(self, *, within_s: float) -> bool:
        """Return whether the cluster has no key. Raises PatroniError."""
        return not self._keys(within_s=within_s)

    def alive(self, *, within_s: float) -> str:
        """Return which keys say that a Patroni of the cluster runs, empty when none does. Raises PatroniError."""
        below = [key.removeprefix(self.prefix) for key in self._keys(within_s=within_s)]
        return ", ".join(sorted(key for key in below if key == "leader" or key.startswith("members/")))

    def remove(self, *, within_s: float) -> None:
        """Remove every key of the cluster. Raises PatroniError."""
        self._call("/v3/kv/deleterange", within_s=within_s)

    def _keys(self, *, within_s: float) -> dict[str, str]:
        answer = self._call("/v3/kv/range", within_s=within_s)
        return {_decoded(pair["key"]): _decoded(pair.get("value", "")) for pair in answer.get("kvs", ())}

    def _call(self, path: str, *, within_s: float) -> dict[str, Any]:
        """Call one function of etcd on all keys below the prefix."""
        key = self.prefix.encode()
        below = {"key": _encoded(key), "range_end": _encoded(key[:-1] + bytes([key[-1] + 1]))}

        def attempt() -> dict[str, Any]:
            last: EtcdUnavailableError | None = None
            for member in self.members:
                try:
                    return member.login(self.username, self.password).call(path, below)
                except EtcdUnavailableError as error:
                    last = error
            raise last or EtcdUnavailableError("no etcd member is declared")

        try:
            return eventually(attempt, within_s=within_s)
        except EtcdError as error:
            raise PatroniError(f"{path} of {self.prefix} in etcd as {self.username}: {error}") from error


def parse(keys: Mapping[str, str], prefix: str) -> State:
    """Return the meaning of the keys below `prefix`. A member without a readable address has an empty host."""
    members = {}
    for key, value in keys.items():
        if key.startswith(f"{prefix}members/"):
            members[key.removeprefix(f"{prefix}members/")] = _host(value)
    initialize = f"{prefix}initialize"
    return State(initialize in keys, keys.get(initialize, ""), members)


def foreign_reason(state: State, declared: Mapping[str, str], identifier: str | None) -> str:
    """Return why the scope belongs to another cluster, empty when it may be this one's.

    `declared` are the addresses of the members by name; `identifier` is that of the data on this host, None without.
    """
    for name, host in sorted(state.members.items()):
        if name not in declared:
            return f"etcd has a member {name} at {host or 'an unknown address'}, which is not declared"
        if host and host != declared[name]:
            return f"etcd has the member {name} at {host}, but it is declared at {declared[name]}"
    if identifier and state.identifier and identifier != state.identifier:
        return f"etcd has a cluster with system identifier {state.identifier}, but the data here has {identifier}"
    return ""


def local_identifier(controldata: str) -> str | None:
    """Return the system identifier from the output of pg_controldata in the C locale, None when it has none."""
    found = re.search(r"^Database system identifier:\s+(\d+)$", controldata, re.MULTILINE)
    return found[1] if found else None


def _host(value: str) -> str:
    try:
        return urlsplit(json.loads(value).get("conn_url", "")).hostname or ""
    except (ValueError, AttributeError):
        return ""


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _decoded(value: str) -> str:
    return base64.b64decode(value).decode("utf-8", errors="replace")
