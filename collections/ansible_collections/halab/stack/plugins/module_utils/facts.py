# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""PRIVATE: which key of the inventory to look at when a whole component does not answer. Pure functions.

One member that is silent is down. When all are, the inventory may be wrong about them, and their errors tell in what.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

Seen = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Keys:
    """Where the inventory says how a component is reached."""

    port: str
    tls: str
    login: str


KEYS: Final[Mapping[str, Keys]] = {
    "etcd": Keys("etcd_client_port", "etcd_tls", "etcd_root_password"),
    "patroni": Keys("patroni_rest_port", "patroni_rest_tls", "patroni_rest_password"),
    "haproxy": Keys("haproxy_stats_port", "haproxy_stats_tls", "haproxy_stats_user and haproxy_stats_password"),
    "redis": Keys("redis_port", "redis_tls", "redis_admin_user and redis_admin_password"),
    "sentinel": Keys("redis_sentinel_port", "redis_tls", "redis_admin_user and redis_admin_password"),
}
_LOGIN: Final = re.compile(r"status 40[13]\b|WRONGPASS|NOAUTH|NOPERM|without any password")
_TLS: Final = re.compile(
    # What a plain server answers to TLS, a server of TLS to plain text, and one whose authority is another.
    r"SSL|TLS|certificate|HTTPS server|not RESP2|closed (the )?connection|Connection reset|without response"
    r"|status 400\b"
)
_STATUS: Final = re.compile(r"status \d{3}\b|not JSON|no table")


def advice(component: str, errors: Sequence[str]) -> Iterator[str]:
    """What to look at. `errors` are the members' own, empty for one that answered."""
    if not errors or not all(errors):
        return
    keys = KEYS[component]
    said = " ".join(errors)
    if _LOGIN.search(said):
        yield f"{component}: every member refuses the login; set {keys.login} in the inventory"
    elif _TLS.search(said):
        fix = f"{keys.tls} tells whether they speak TLS, halab_ca_file whom to trust, halab_cert_file what they ask for"
        yield f"{component}: no member speaks as the inventory says; {fix}"
    elif _STATUS.search(said):
        yield f"{component}: something else answers at {keys.port} of every member; set {keys.port} in the inventory"
    else:
        yield f"{component}: no member answers; if they run, set {keys.port} and ansible_host in the inventory"


def etcd_advice(seen: Seen) -> Iterator[str]:
    yield from advice("etcd", ["" if member["version"] else member["error"] for member in seen["endpoints"]])


def patroni_advice(seen: Seen) -> Iterator[str]:
    yield from advice("patroni", [member["error"] or "" for member in seen["members"]])


def haproxy_advice(seen: Seen) -> Iterator[str]:
    errors = [balancer["error"] for balancer in seen["balancers"]]
    if not any("set haproxy_" in error or "check haproxy_" in error for error in errors):
        yield from advice("haproxy", errors)


def redis_advice(seen: Seen) -> Iterator[str]:
    for component in ("redis", "sentinel"):
        looked = [member[component] for member in seen["members"] if member[component] is not None]
        yield from advice(component, [one["error"] for one in looked])
