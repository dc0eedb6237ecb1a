# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Settings of a Patroni cluster that are changed through its REST API, and restored to exactly what they were."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import ssl
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.halab.faults.plugins.module_utils.config_record import ConfigError, Record, handed, told

Keys = tuple[str, ...]
_ANSWER_WITHIN_S = 5.0
_ABSENT = object()


def leaves(settings: Mapping[str, Any], above: Keys = ()) -> Iterator[tuple[Keys, Any]]:
    """Every setting that is no mapping, by its keys from the top."""
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, (*above, key))
        else:
            yield (*above, key), value


def at(config: Mapping[str, Any], path: Keys) -> Any:
    """The value below these keys; `_ABSENT` when there is none."""
    here: Any = config
    for key in path:
        if not isinstance(here, Mapping) or key not in here:
            return _ABSENT
        here = here[key]
    return here


def same(left: Any, right: Any) -> bool:
    """Whether Patroni would see no difference: it compares scalars as text, and null in a patch means absent."""
    none = [value is _ABSENT or value is None for value in (left, right)]
    if any(none):
        return all(none)
    if isinstance(left, Mapping) or isinstance(right, Mapping):
        return bool(left == right)
    return str(left) == str(right)


def different(config: Mapping[str, Any], settings: Mapping[str, Any]) -> list[Keys]:
    """Keys of the settings that the configuration does not have so."""
    return [path for path, value in leaves(settings) if not same(at(config, path), value)]


def restoring(now: Mapping[str, Any], former: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The patch that takes `settings` back to `former`, where `now` still has them; what others changed stays.

    A mapping that came with the settings goes with them, unless somebody put more into it.
    """
    patch: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            before, present = former.get(key, _ABSENT), now.get(key, _ABSENT)
            if isinstance(before, Mapping) and isinstance(present, Mapping):
                inner = restoring(present, before, value)
                patch.update({key: inner} if inner else {})
            elif same(present, value) and not same(present, before):
                patch[key] = None if before is _ABSENT else before
            elif isinstance(present, Mapping) and before is _ABSENT:
                inner = restoring(present, {}, value)
                patch.update({key: inner} if inner else {})
        elif same(now.get(key, _ABSENT), value) and not same(former.get(key, _ABSENT), value):
            patch[key] = former.get(key)
    return patch


@dataclass(frozen=True, slots=True)
class Cluster:
    """The REST APIs of a cluster's members, with the client certificate that they ask for."""

    endpoints: tuple[str, ...]
    ca_file: str
    cert_file: str
    key_file: str

    @classmethod
    def of(cls, words: Sequence[str]) -> Cluster:
        """From CA CERT KEY ENDPOINT..."""
        ca_file, cert_file, key_file, *endpoints = words
        return cls(tuple(endpoints), ca_file, cert_file, key_file)

    def words(self) -> tuple[str, ...]:
        return self.ca_file, self.cert_file, self.key_file, *self.endpoints

    def editor(self) -> str:
        """URL of a member that can change the configuration: the leader, else any that serves it.

        Patroni changes it in the configuration store, whoever is asked; a cluster whose settings keep it from having a
        leader (pause, nofailover) must be healed without one. Raises ConfigError telling what each member says.
        """
        said, others = [], []
        for endpoint in self.endpoints:
            try:
                answer = self.get(endpoint, "/patroni")
            except ConfigError as error:
                said.append(str(error))
                continue
            if answer.get("role") in ("primary", "master", "standby_leader") and answer.get("state") == "running":
                return endpoint
            said.append(f"{endpoint} is {answer.get('role')}, {answer.get('state')}")
            others.append(endpoint)
        for endpoint in others:
            try:
                self.get(endpoint, "/config")
            except ConfigError as error:
                said.append(str(error))
            else:
                return endpoint
        raise ConfigError(f"no member serves the configuration: {'; '.join(said)}")

    def get(self, endpoint: str, path: str) -> dict[str, Any]:
        """The object at a path of a member. Raises ConfigError."""
        status, text = self._request("GET", endpoint + path, {}, None)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ConfigError(f"GET {endpoint}{path}: status {status}, no object: {text[:200]}")
        return answer

    def patch(self, endpoint: str, change: Mapping[str, Any], *, username: str, password: str) -> None:
        """Change the configuration. Raises ConfigError when it is refused; the message holds no secret."""
        login = base64.b64encode(f"{username}:{password}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        status, text = self._request("PATCH", f"{endpoint}/config", headers, json.dumps(change).encode())
        if status != 200:
            hint = "; check username and password" if status == 401 else ""
            raise ConfigError(f"PATCH {endpoint}/config: status {status}: {text[:200]}{hint}")

    def _request(self, method: str, url: str, headers: dict[str, str], body: bytes | None) -> tuple[int, str]:
        parts = urlsplit(url)
        try:
            with contextlib.closing(self._connection(parts.scheme, parts.hostname or "", parts.port)) as connection:
                connection.request(method, parts.path, body=body, headers=headers)
                answer = connection.getresponse()
                return answer.status, answer.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise ConfigError(f"{method} {url}: {error}") from error

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=_ANSWER_WITHIN_S)
        context = ssl.create_default_context(cafile=self.ca_file)
        if self.cert_file:
            context.load_cert_chain(self.cert_file, self.key_file)
        return http.client.HTTPSConnection(host, port, timeout=_ANSWER_WITHIN_S, context=context)


def _change(arguments: Sequence[str]) -> int:
    """LEDGER ID CLUSTER...: patch the configuration as the environment says, the former one kept first."""
    record, cluster, wanted = Record.of(*arguments[:2]), Cluster.of(arguments[2:]), handed()
    editor = cluster.editor()
    record.write({**wanted, "former": cluster.get(editor, "/config")})
    cluster.patch(editor, wanted["settings"], username=wanted["username"], password=wanted["password"])
    return 0


def _restore(arguments: Sequence[str]) -> int:
    """LEDGER ID CLUSTER...: patch back what still is as it was changed."""
    record, cluster = Record.of(*arguments[:2]), Cluster.of(arguments[2:])
    kept = record.read()
    if kept is None:
        return 0
    editor = cluster.editor()
    patch = restoring(cluster.get(editor, "/config"), kept["former"], kept["settings"])
    if patch:
        cluster.patch(editor, patch, username=kept["username"], password=kept["password"])
    return 0


def _state(arguments: Sequence[str]) -> int:
    """LEDGER ID CLUSTER...: say `changed` when all members that answer show all settings, `original` when none."""
    kept, cluster = Record.of(*arguments[:2]).read(), Cluster.of(arguments[2:])
    shown, said = [], []
    for endpoint in cluster.endpoints:
        try:
            config = cluster.get(endpoint, "/config")
            pending = cluster.get(endpoint, "/patroni").get("pending_restart")
        except ConfigError as error:
            said.append(str(error))
            continue
        if kept is not None:
            member, words = judged(config, kept["former"], kept["settings"])
            shown.append(member)
            said.append(f"{endpoint}: {words}" + (", and waits for a restart" if pending else ""))
    if kept is None:
        state = "original"
        said.append("no setting was changed by this fault")
    else:
        state = shown[0] if shown and len(set(shown)) == 1 else "unknown" if not shown else "mixed"
    sys.stdout.write(f"{state}\n" + "\n".join(said) + "\n")
    return 0


def judged(config: Mapping[str, Any], former: Mapping[str, Any], settings: Mapping[str, Any]) -> tuple[str, str]:
    """Whether a configuration is `changed` by all settings, `original` by none of them, or `mixed`; and in words."""
    ours, words = [], []
    for path, value in leaves(settings):
        now, before = at(config, path), at(former, path)
        if same(value, before):
            continue
        ours.append(same(now, value))
        shown = "absent" if now is _ABSENT else json.dumps(now)
        stays = "" if same(now, value) or same(now, before) else " by somebody else, and stays so"
        words.append(f"{'.'.join(path)} is {shown}{stays}")
    state = "changed" if ours and all(ours) else "mixed" if any(ours) else "original"
    return state, ", ".join(words)


COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "config-patroni-change": told(_change),
    "config-patroni-restore": told(_restore),
    "config-patroni-state": told(_state),
}
