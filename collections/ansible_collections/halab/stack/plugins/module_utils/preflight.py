# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""What must be true of a cluster's description before anything is changed. Pure: a description in, problems out."""

from __future__ import annotations

import dataclasses
import ipaddress
import re
import typing as t
from collections import defaultdict

from ansible_collections.halab.stack.plugins.module_utils.timing import Problem, Timing, resolve

COMPONENTS: t.Final = ("etcd", "patroni", "haproxy", "redis")
INDISPENSABLE = ("etcd", "patroni")  # a cluster may do without the others, but its inventory must say so
SYNCHRONOUS_MODES: t.Final = ("off", "on", "strict", "quorum")
POSTGRESQL_VERSIONS: t.Final = (16, 17, 18)

PORTS: t.Final[t.Mapping[str, tuple[str, ...]]] = {
    "etcd": ("etcd_client_port", "etcd_peer_port"),
    "patroni": ("patroni_postgresql_port", "patroni_rest_port"),
    "haproxy": ("haproxy_write_port", "haproxy_read_port", "haproxy_workers_port", "haproxy_stats_port"),
    "redis": ("redis_port", "redis_sentinel_port"),
}
PASSWORDS: t.Final[t.Mapping[str, tuple[str, ...]]] = {
    "etcd": ("etcd_root_password",),
    "patroni": (
        "patroni_superuser_password",
        "patroni_replication_password",
        "patroni_rewind_password",
        "patroni_rest_password",
        "patroni_etcd_password",
    ),
    "haproxy": ("haproxy_stats_password",),
    "redis": ("redis_admin_password", "redis_replication_password", "redis_sentinel_password"),
}
# Patroni passes these on its command line or computes them, and drops what is configured without a word.
OWNED_PARAMETERS: t.Final = frozenset(
    (
        *("listen_addresses", "port", "cluster_name", "hot_standby", "primary_conninfo", "primary_slot_name"),
        *("ssl", "ssl_ca_file", "ssl_cert_file", "ssl_key_file", "ssl_min_protocol_version"),
        *("synchronous_standby_names", "data_directory", "hba_file", "ident_file"),
    )
)
# The variables that the rules look at, apart from ports and passwords.
SETTINGS: t.Final = (
    "halab_state_dir",
    "halab_provision",
    "ha_profile",
    "ha_timing_overrides",
    "haproxy_address",
    "patroni_scope",
    "patroni_group",
    "patroni_citus_database",
    "patroni_namespace",
    "patroni_postgresql_version",
    "patroni_synchronous_mode",
    "patroni_failsafe_mode",
    "patroni_parameters",
    "redis_sentinel",
)
_SSH: t.Final = "ansible_port"
# Networks that no machine is in: https://www.rfc-editor.org/rfc/rfc5737 and https://www.rfc-editor.org/rfc/rfc3849
_DOCUMENTATION: t.Final = tuple(
    map(ipaddress.ip_network, ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32"))
)


@dataclasses.dataclass(frozen=True, slots=True)
class Host:
    """A machine: its name, literal address, SSH port, and its variables with the roles' literal defaults filled in."""

    name: str
    address: str | None
    variables: t.Mapping[str, t.Any]
    ssh_port: object = 22


@dataclasses.dataclass(frozen=True, slots=True)
class Description:
    """A cluster as an inventory describes it: hosts by name, and the hosts' names of each group."""

    hosts: t.Mapping[str, Host]
    groups: t.Mapping[str, t.Sequence[str]]
    required_groups: t.Sequence[str] = COMPONENTS

    def members(self, group: str) -> list[Host]:
        """Return the hosts of a group in the inventory's order; none when there is no such group."""
        return [self.hosts[name] for name in self.groups.get(group, ())]

    def scopes(self) -> dict[str, list[Host]]:
        """Return what Patroni manages in this inventory: members by scope."""
        found: defaultdict[str, list[Host]] = defaultdict(list)
        for host in self.members("patroni"):
            found[str(host.variables.get("patroni_scope"))].append(host)
        return dict(found)

    def clusters(self) -> dict[str, list[Host]]:
        """Return the clusters with a leader each, by name: the scopes, or with Citus their groups."""
        found: defaultdict[str, list[Host]] = defaultdict(list)
        for scope, members in self.scopes().items():
            for host in members:
                group = group_of(host)
                found[f"group {group} of scope {scope}" if group else f"scope {scope}"].append(host)
        return dict(found)


def group_of(host: Host) -> str:
    """Return the number of a host's group of Citus as a text, empty without Citus."""
    value = host.variables.get("patroni_group")
    return "" if value is None else str(value)


def examples(description: Description) -> t.Iterator[Problem]:
    """Yield a problem for each host that still has an address out of a document: nobody would answer there."""
    for host in _used(description):
        address = _ip(host.address)
        if address is not None and any(ipaddress.ip_address(address) in network for network in _DOCUMENTATION):
            fix = f"copy the inventory and give {host.name} its real address; no machine has one that is for documents"
            yield Problem(f"ansible_host of {host.name}", address, fix)


def check(description: Description) -> list[Problem]:
    """Return every problem of a description, in the order in which one would fix them."""
    found = [problem for rule in RULES for problem in rule(description)]
    return list(dict.fromkeys(found))


def _groups(description: Description) -> t.Iterator[Problem]:
    for group in description.required_groups:
        if group not in description.groups:
            none = "" if group in INDISPENSABLE else f", or `{group}: {{}}` for none"
            yield Problem(f"group {group}", "missing", f"add a group {group} with its hosts to the inventory{none}")
        elif group in INDISPENSABLE and not description.groups[group]:
            yield Problem(f"group {group}", "empty", f"add at least one host to group {group}")


def _provision(description: Description) -> t.Iterator[Problem]:
    for host in description.hosts.values():
        if str(host.variables.get("halab_provision", True)).lower() in ("false", "no", "off"):
            fix = "leave this cluster to whoever configures it, or remove the key to have halab configure it"
            yield Problem("halab_provision", "false", fix)


def _counts(description: Description) -> t.Iterator[Problem]:
    etcd = len(description.members("etcd"))
    if etcd and etcd % 2 == 0:
        yield Problem(
            "group etcd",
            f"{etcd} hosts",
            f"use {etcd - 1} or {etcd + 1}: an even count survives no more losses than one host less",
        )
    if len(redis := description.members("redis")) == 2 and all(_watched(host) for host in redis):
        yield Problem("group redis", "2 hosts", "use 1 or at least 3: two Sentinels have no majority when one is lost")


def _watched(host: Host) -> bool:
    return host.variables.get("redis_sentinel", True) is not False


def _addresses(description: Description) -> t.Iterator[Problem]:
    owners: defaultdict[str, list[str]] = defaultdict(list)
    for host in _used(description):
        address = _ip(host.address)
        if address is None:
            fix = f"give {host.name} a literal IP address as ansible_host; the other nodes and the clients use it"
            yield Problem(f"ansible_host of {host.name}", str(host.address), fix)
        else:
            owners[address].append(host.name)
    for address, names in owners.items():
        if len(names) > 1:
            fix = "give each host its own address, or put one host into several groups"
            yield Problem(f"ansible_host of {' and '.join(names)}", address, fix)


def _ports(description: Description) -> t.Iterator[Problem]:
    for host in _used(description):
        taken: dict[int, str] = {}
        for key, value in _host_ports(description, host):
            port = _port(value)
            if port is None:
                yield Problem(f"{key} of {host.name}", str(value), "give a whole number from 1 to 65535")
            elif port in taken:
                fix = f"give {taken[port]} and {key} different ports: {host.name} runs both"
                yield Problem(f"{key} of {host.name}", str(port), fix)
            else:
                taken[port] = key


def _timing(description: Description) -> t.Iterator[Problem]:
    yield from _same(description.hosts.values(), ("ha_profile", "ha_timing_overrides"))
    yield from _timers(description)[1]


def _state_dir(description: Description) -> t.Iterator[Problem]:
    values = {str(host.variables.get("halab_state_dir") or "") for host in _used(description)}
    if "" in values:
        fix = "set it for all hosts to a private directory of the controller; secrets and certificates are kept there"
        yield Problem("halab_state_dir", "not set", fix)
    for value in sorted(values - {""}):
        if not value.startswith(("/", "~")):
            fix = "give an absolute path; a relative one depends on where a command is run"
            yield Problem("halab_state_dir", value, fix)
    if len(values - {""}) > 1:
        yield Problem("halab_state_dir", ", ".join(sorted(values - {""})), "set one directory for all hosts")


def _passwords(description: Description) -> t.Iterator[Problem]:
    for group, keys in PASSWORDS.items():
        for host in description.members(group):
            for key in keys:
                # The value never leaves here: it may be half of the right one.
                if key in host.variables and not (isinstance(value := host.variables[key], str) and value.strip()):
                    fix = "give it a text, or remove the variable to have a password generated"
                    yield Problem(key, "empty" if not value else "not a text", fix)


def _router_address(description: Description) -> t.Iterator[Problem]:
    routers = description.members("haproxy")
    yield from _same(routers, ("haproxy_address",))
    for value in sorted({str(host.variables.get("haproxy_address") or "") for host in routers} - {""}):
        address = _ip(value)
        if address is None:
            fix = "give one free IP address of the routers' network, or leave it empty"
            yield Problem("haproxy_address", value, fix)
        for host in description.hosts.values():
            if address is not None and address == _ip(host.address):
                fix = f"choose an address that no host has: it moves between routers, and {host.name} has this one"
                yield Problem("haproxy_address", value, fix)


def _scopes(description: Description) -> t.Iterator[Problem]:
    for scope, members in description.scopes().items():
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", scope):
            fix = "use letters, digits, '-', '_' and '.' only: it is part of keys and paths"
            yield Problem("patroni_scope", scope, fix)
        yield from _same(members, [key for key in SETTINGS if key.startswith("patroni_") and key != "patroni_group"])
        first = members[0].variables
        namespace = str(first.get("patroni_namespace"))
        if not re.fullmatch(r"/([A-Za-z0-9_.-]+/)+", namespace):
            yield Problem("patroni_namespace", namespace, "begin and end it with '/', for example /service/")
        version = str(first.get("patroni_postgresql_version"))
        if version not in map(str, POSTGRESQL_VERSIONS):
            fix = f"choose one of {', '.join(map(str, POSTGRESQL_VERSIONS))}"
            yield Problem("patroni_postgresql_version", version, fix)
        if not isinstance(failsafe := first.get("patroni_failsafe_mode", True), bool):
            yield Problem("patroni_failsafe_mode", str(failsafe), "give true or false")
        yield from _owned_parameters(first.get("patroni_parameters"))


def _owned_parameters(parameters: object) -> t.Iterator[Problem]:
    if not isinstance(parameters, t.Mapping):
        if parameters is not None:
            yield Problem("patroni_parameters", str(parameters), "give a mapping of PostgreSQL parameters to values")
        return
    for name in sorted(OWNED_PARAMETERS & {str(key).lower() for key in parameters}):
        fix = "remove it: Patroni or the role sets it (address and port by patroni_address and patroni_postgresql_port)"
        yield Problem(f"patroni_parameters.{name}", str(parameters.get(name)), fix)


def _citus_groups(description: Description) -> t.Iterator[Problem]:
    for scope, members in description.scopes().items():
        groups = {host.name: group_of(host) for host in members}
        if not any(groups.values()):
            continue
        for name, group in groups.items():
            if not re.fullmatch(r"[0-9]{1,9}", group):
                fix = "give every host of the scope the number of its Citus group, 0 for the coordinator's, or none"
                yield Problem(f"patroni_group of {name}", group or "not set", fix)
        if "0" not in groups.values():
            fix = f"set it to 0 for the coordinator's hosts of scope {scope}"
            yield Problem("patroni_group", ", ".join(sorted(set(groups.values()))), fix)
        for host in members:
            if host.name in description.groups.get("haproxy", ()):
                fix = "put it on another machine: servers of Citus ask a node's certificate of all that comes from one"
                yield Problem(f"group haproxy, {host.name}", "runs a server of Citus too", fix)


def _synchronous(description: Description) -> t.Iterator[Problem]:
    timing = _timers(description)[0]
    for cluster, members in description.clusters().items():
        mode = synchronous_mode(members[0].variables.get("patroni_synchronous_mode"))
        key, count = "patroni_synchronous_mode", len(members)
        if mode not in SYNCHRONOUS_MODES:
            yield Problem(key, mode, f"choose one of {', '.join(SYNCHRONOUS_MODES)}")
        elif mode == "strict" and count < 3:
            fix = f"use at least 3 members in {cluster} ({count} now), or on: strict stops writes without a standby"
            yield Problem(key, mode, fix)
        elif mode in ("on", "quorum") and count < 2:
            fix = f"add a member to {cluster}, or choose off: a single member has no standby to wait for"
            yield Problem(key, mode, fix)
        if mode == "off" and timing is not None and timing.primary_start_timeout == 0:
            fix = "use at least 1 second, or another synchronous mode: 0 promotes an asynchronous standby at once"
            yield Problem("ha_timing_overrides.primary_start_timeout", "0", fix)


def synchronous_mode(value: object) -> str:
    """Return the mode as text: YAML reads a bare on or off as a boolean."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _timers(description: Description) -> tuple[Timing | None, list[Problem]]:
    for host in description.hosts.values():
        overrides = host.variables.get("ha_timing_overrides")
        if overrides is not None and not isinstance(overrides, t.Mapping):
            return None, [Problem("ha_timing_overrides", str(overrides), "give a mapping of timers to whole numbers")]
        return resolve(host.variables.get("ha_profile", "default"), overrides)
    return None, []


def _same(hosts: t.Iterable[Host], keys: t.Iterable[str]) -> t.Iterator[Problem]:
    members = list(hosts)
    for key in keys:
        values = {host.name: host.variables.get(key) for host in members}
        if len({repr(value) for value in values.values()}) > 1:
            shown = ", ".join(f"{name}: {value}" for name, value in values.items())
            yield Problem(key, shown, "set one value for all hosts of the cluster, in group_vars")


def _used(description: Description) -> list[Host]:
    names = dict.fromkeys(name for group in COMPONENTS for name in description.groups.get(group, ()))
    return [description.hosts[name] for name in names]


def _host_ports(description: Description, host: Host) -> t.Iterator[tuple[str, object]]:
    yield _SSH, host.ssh_port
    for group, keys in PORTS.items():
        if host.name in description.groups.get(group, ()):
            for key in keys:
                yield key, host.variables.get(key)


def _port(value: object) -> int | None:
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]{1,5}", str(value)):
        return None
    return port if 0 < (port := int(str(value))) < 65536 else None


def _ip(value: str | None) -> str | None:
    try:
        return str(ipaddress.ip_address(value or ""))
    except ValueError:
        return None


RULES: t.Final[tuple[t.Callable[[Description], t.Iterator[Problem]], ...]] = (
    _provision,
    _groups,
    _counts,
    _addresses,
    _ports,
    _state_dir,
    _passwords,
    _timing,
    _citus_groups,
    _synchronous,
    _scopes,
    _router_address,
)
