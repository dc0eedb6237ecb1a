"""A cluster as its inventory describes it: immutable values, passwords hidden from every repr."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final

COORDINATOR: Final = 0
"""The group of Citus that clients talk to."""

_DOCUMENTATION = tuple(map(ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")))


@dataclass(frozen=True, slots=True)
class Host:
    """A machine. `address` is a literal IP address; `owned` means that halab made it."""

    name: str
    address: str
    groups: tuple[str, ...]
    owned: bool


@dataclass(frozen=True, slots=True)
class Tls:
    """Files of the controller with which clients check servers and prove themselves (PEM).

    Without `cert_file` and `key_file` clients show no certificate; without `ca_file` no server is asked for one.
    """

    ca_file: Path | None
    cert_file: Path | None = None
    key_file: Path | None = None


@dataclass(frozen=True, slots=True)
class PatroniMember:
    """One PostgreSQL server and the Patroni that manages it, which calls it `alias` (empty: as the inventory does).

    `group` is its number with Citus, None without.
    """

    host: Host
    postgresql_port: int
    rest_port: int
    rest_tls: bool = True
    alias: str = ""
    group: int | None = None

    @property
    def name(self) -> str:
        return self.host.name


@dataclass(frozen=True, slots=True)
class PatroniCluster:
    """Servers that replicate from one leader, or with Citus from one in each group.

    `synchronous_mode` is off, on, strict or quorum; `sslmode` is libpq's; `database` is the one that clients use.
    """

    scope: str
    namespace: str
    members: tuple[PatroniMember, ...]
    postgresql_version: int
    synchronous_mode: str
    superuser: str
    rest_user: str
    superuser_password: str = field(repr=False)
    rest_password: str = field(repr=False)
    sslmode: str = "verify-full"
    database: str = "postgres"

    def host_of(self, name: str) -> str:
        """The host of the member that Patroni calls so; the name itself when it is nobody's."""
        return next((member.name for member in self.members if (member.alias or member.name) == name), name)

    @property
    def groups(self) -> tuple[int, ...]:
        """Numbers of the groups of Citus, sorted; empty without Citus."""
        return tuple(sorted({member.group for member in self.members if member.group is not None}))

    @property
    def entry(self) -> tuple[PatroniMember, ...]:
        """Members of which one leads whom clients talk to: those of the coordinator, without Citus all."""
        return self.of_group(COORDINATOR).members if self.groups else self.members

    def of_group(self, group: int) -> PatroniCluster:
        """The members of one group of Citus alone, which replicate from one leader."""
        return replace(self, members=tuple(member for member in self.members if member.group == group))

    @property
    def prefix(self) -> str:
        """Beginning of the keys in etcd that tell of `entry`, or of the one group of `of_group`."""
        groups = self.groups
        own = f"{COORDINATOR if COORDINATOR in groups else groups[0]}/" if groups else ""
        return f"{self.namespace.rstrip('/')}/{self.scope}/{own}"

    def member(self, name: str) -> PatroniMember:
        """Raises KeyError when no member has this name."""
        for member in self.members:
            if member.name == name:
                return member
        raise KeyError(name)


@dataclass(frozen=True, slots=True)
class EtcdMember:
    """One etcd server."""

    host: Host
    client_port: int
    tls: bool = True

    @property
    def name(self) -> str:
        return self.host.name


@dataclass(frozen=True, slots=True)
class EtcdCluster:
    """The distributed configuration store."""

    members: tuple[EtcdMember, ...]
    root_password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Haproxy:
    """The balancers. `address` is the one that keepalived moves between them; empty when there is none.

    Whoever holds it tells its own address at `node_path` of the statistics' port; empty when balancers do not.
    `stats_path` is where the page of statistics is.
    `workers_port` leads to the leaders of Citus's workers, where there are any.
    """

    balancers: tuple[Host, ...]
    address: str
    write_port: int
    read_port: int
    stats_port: int
    stats_user: str
    stats_password: str = field(repr=False)
    stats_path: str = "/stats"
    stats_tls: bool = True
    node_path: str = "/node"
    workers_port: int = 5002

    @property
    def entry_points(self) -> tuple[str, ...]:
        """Addresses that clients use: the shared one, else every balancer's own."""
        return (self.address,) if self.address else tuple(host.address for host in self.balancers)


@dataclass(frozen=True, slots=True)
class RedisMember:
    """One Redis server and the Sentinel beside it."""

    host: Host
    port: int
    sentinel_port: int

    @property
    def name(self) -> str:
        return self.host.name


@dataclass(frozen=True, slots=True)
class RedisGroup:
    """Redis servers that replicate from one master, watched by Sentinels.

    `eviction` is what they do when their memory is full (maxmemory-policy).
    """

    members: tuple[RedisMember, ...]
    master_name: str
    admin_user: str
    admin_password: str = field(repr=False)
    eviction: str = "noeviction"
    tls: bool = True


@dataclass(frozen=True, slots=True)
class Cluster:
    """What an inventory says about a cluster. `haproxy` and `redis` are None when their group is empty.

    `provision` tells whether halab configures it; a cluster that somebody else configures is only used.
    `untested` names what the inventory wants where it is to be had, and the cluster is without.
    """

    name: str
    inventory: Path
    state_dir: Path
    ha_profile: str
    hosts: tuple[Host, ...]
    tls: Tls
    patroni: PatroniCluster
    etcd: EtcdCluster
    haproxy: Haproxy | None
    redis: RedisGroup | None
    provision: bool = True
    untested: tuple[str, ...] = ()

    @property
    def owned(self) -> bool:
        """Whether halab made every machine, so that faults need no further consent."""
        return all(host.owned for host in self.hosts)

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of all groups that hold a host of the cluster, sorted."""
        return tuple(sorted({group for host in self.hosts for group in host.groups}))

    def host(self, name: str) -> Host:
        """Raises KeyError when the inventory has no such host."""
        for host in self.hosts:
            if host.name == name:
                return host
        raise KeyError(name)

    def group(self, name: str) -> tuple[Host, ...]:
        """Hosts of a group in the inventory's order; empty when there is no such group."""
        return tuple(host for host in self.hosts if name in host.groups)

    def invented(self) -> tuple[Host, ...]:
        """Hosts whose address is one for documents (RFC 5737, RFC 3849), which no machine has."""
        return tuple(host for host in self.hosts if any(ip_address(host.address) in one for one in _DOCUMENTATION))

    def name_of(self, address: str | None) -> str | None:
        """The host that owns an address, the address itself when it is nobody's."""
        for host in self.hosts:
            if host.address == address:
                return host.name
        return address

    def public(self) -> dict[str, object]:
        """What a run folder may hold about the cluster: no secrets and no paths of them."""
        return {
            "name": self.name,
            "owned": self.owned,
            "untested": list(self.untested),
            "servers": [member.name for member in self.patroni.entry],
            "hosts": [{"name": host.name, "address": host.address, "groups": list(host.groups)} for host in self.hosts],
        }
