"""From an inventory's path to a Cluster."""

from __future__ import annotations

import difflib
import ipaddress
from pathlib import Path

from halab.inventory.model import (
    COORDINATOR,
    Cluster,
    EtcdCluster,
    EtcdMember,
    Haproxy,
    Host,
    PatroniCluster,
    PatroniMember,
    RedisGroup,
    RedisMember,
    Tls,
)
from halab.inventory.parameters import Parameters
from halab.inventory.source import InventoryError, RawInventory, read_inventory, read_role_defaults, read_secrets

NEEDED_GROUPS = ("etcd", "patroni")
OPTIONAL_GROUPS = ("haproxy", "redis")
PROFILES = ("fast", "default", "upstream")
SYNCHRONOUS_MODES = ("off", "on", "strict", "quorum")
SSL_MODES = ("disable", "require", "verify-ca", "verify-full")
_TLS_FILES = {"halab_ca_file": "ca.crt", "halab_cert_file": "client.crt", "halab_key_file": "client.key"}
FOREIGN = (
    *("etcd_tls", "etcd_unit"),
    *("patroni_rest_tls", "patroni_postgresql_sslmode", "patroni_unit"),
    *("haproxy_stats_tls", "haproxy_stats_path", "haproxy_node_path", "haproxy_unit"),
    *("haproxy_write_backend", "haproxy_read_backend"),
    *("redis_tls", "redis_unit", "sentinel_unit"),
)
"""Facts of a cluster that halab's own roles settle, so that they can only differ where somebody else configured it."""


def load(path: Path | str, *, credentials: bool = True) -> Cluster:
    """Read an inventory (file or folder).

    With `credentials` the cluster must be there: its passwords and certificates are found, or the error says so.
    Without, passwords are empty and certificates are not looked at: enough before anything exists.

    Raises InventoryError with every problem found: a missing group, no state directory, a template where a literal is
    needed, hosts that disagree.
    """
    path = Path(path).absolute()
    raw = read_inventory(path)
    parameters = Parameters(variables=raw.variables, defaults=read_role_defaults(), secrets=None)
    _check_groups(raw, parameters)
    hosts = _hosts(raw, parameters)
    everyone = list(hosts)
    state_dir = _state_dir(everyone, parameters)
    provision = _provision(everyone, parameters)
    _refuse_if_any(path, parameters)
    if credentials:
        parameters.secrets = _secrets(state_dir, parameters, must_exist=provision)
    cluster = Cluster(
        name=parameters.text(everyone, "halab_cluster_name", default=path.stem),
        inventory=path,
        state_dir=state_dir,
        ha_profile=parameters.choice(everyone, "ha_profile", PROFILES, default="default"),
        hosts=tuple(hosts.values()),
        tls=_tls(everyone, state_dir, parameters, made=provision, look=credentials),
        patroni=_patroni([hosts[name] for name in raw.groups["patroni"]], parameters),
        etcd=_etcd([hosts[name] for name in raw.groups["etcd"]], parameters),
        haproxy=_haproxy([hosts[name] for name in raw.groups["haproxy"]], parameters),
        redis=_redis([hosts[name] for name in raw.groups["redis"]], parameters),
        provision=provision,
        untested=_untested(list(raw.groups["patroni"]), parameters),
    )
    if credentials and not provision:
        _check_files(cluster, parameters)
    _refuse_if_any(path, parameters)
    return cluster


def _refuse_if_any(path: Path, parameters: Parameters) -> None:
    if parameters.problems:
        raise InventoryError(str(path), parameters.problems)


def _check_groups(raw: RawInventory, parameters: Parameters) -> None:
    for group in (*NEEDED_GROUPS, *OPTIONAL_GROUPS):
        if group not in raw.declared:
            close = difflib.get_close_matches(group, raw.declared - {"all", "ungrouped"}, n=1)
            fix = f"Is `{close[0]}` meant? " if close else ""
            fix += "Add the group with its hosts." if group in NEEDED_GROUPS else f"Add it, `{group}: {{}}` for none."
            parameters.refuse(f"group {group}", None, "is not in the inventory", fix)
        elif group in NEEDED_GROUPS and not raw.groups[group]:
            parameters.refuse(f"group {group}", None, "has no hosts", "Name its hosts.")


def _hosts(raw: RawInventory, parameters: Parameters) -> dict[str, Host]:
    components = (*NEEDED_GROUPS, *OPTIONAL_GROUPS, "clients")
    names = dict.fromkeys(name for group in components for name in raw.groups.get(group, ()))
    members = {group: hosts for group, hosts in raw.groups.items() if group not in ("all", "ungrouped")}
    return {
        name: Host(
            name=name,
            address=_address(name, parameters),
            groups=tuple(sorted(group for group, hosts in members.items() if name in hosts)),
            owned="lab_id" in raw.variables.get(name, {}),
        )
        for name in names
    }


def _address(host: str, parameters: Parameters) -> str:
    address = parameters.text([host], "ansible_host", default=host)
    if not parameters.refused("ansible_host"):
        try:
            ipaddress.ip_address(address)
        except ValueError:
            fix = "Set ansible_host to the machine's address: a name could not be looked up within a deadline."
            parameters.refuse(f"ansible_host of {host}", address, "is not a literal IP address", fix)
    return address


def _state_dir(hosts: list[str], parameters: Parameters) -> Path:
    return Path(parameters.text(hosts, "halab_state_dir")).expanduser()


def _provision(hosts: list[str], parameters: Parameters) -> bool:
    """Whether halab configures the cluster, which then is as its roles make it."""
    provision = parameters.flag(hosts, "halab_provision")
    for key in FOREIGN if provision else ():
        if parameters.given(hosts, key):
            reason = "speaks of a cluster that halab does not configure; the roles settle it themselves"
            fix = f"Remove {key}, or set halab_provision: false if somebody else configures this cluster."
            parameters.refuse(key, None, reason, fix)
    if not provision:
        parameters.if_unknown = "Set it, best vaulted; an empty text says that none is asked for."
    return provision


def _secrets(state_dir: Path, parameters: Parameters, *, must_exist: bool) -> dict[str, str]:
    if must_exist and not state_dir.is_dir():
        fix = "Provision the cluster first (playbooks/provision.yml), or point halab_state_dir at its folder."
        parameters.refuse("halab_state_dir", str(state_dir), "does not exist", fix)
    return read_secrets(state_dir) or {}


def _tls(hosts: list[str], state_dir: Path, parameters: Parameters, *, made: bool, look: bool) -> Tls:
    """The files of the inventory, else those that the role certs makes; of another's cluster only what is there."""
    files: dict[str, Path | None] = {}
    for key, name in _TLS_FILES.items():
        of_role = state_dir / "certs" / name
        text = parameters.text(hosts, key, default=str(of_role if made or of_role.is_file() else ""))
        files[key] = path = Path(text).expanduser() if text else None
        if look and path is not None and not path.is_file():
            fix = f"Run playbooks/provision.yml, or set {key}." if made else f"Set {key} to your site's file."
            parameters.refuse(key, str(path), "is not a file", fix)
    return Tls(ca_file=files["halab_ca_file"], cert_file=files["halab_cert_file"], key_file=files["halab_key_file"])


def _check_files(cluster: Cluster, parameters: Parameters) -> None:
    """Whoever speaks TLS needs an authority to check servers by, and a certificate needs its key."""
    users = {
        "etcd_tls": any(member.tls for member in cluster.etcd.members),
        "patroni_rest_tls": any(member.rest_tls for member in cluster.patroni.members),
        "patroni_postgresql_sslmode": cluster.patroni.sslmode.startswith("verify"),
        "haproxy_stats_tls": cluster.haproxy is not None and cluster.haproxy.stats_tls,
        "redis_tls": cluster.redis is not None and cluster.redis.tls,
    }
    used = [key for key, uses in users.items() if uses]
    if used and cluster.tls.ca_file is None and not parameters.refused("halab_ca_file"):
        reason = f"is not set, and servers are to be checked by it ({', '.join(used)})"
        fix = "Set it to the file of the authority that signed their certificates, or say that they have none: "
        fix += ", ".join(f"{key}: {'disable' if key.endswith('sslmode') else 'false'}" for key in used) + "."
        parameters.refuse("halab_ca_file", None, reason, fix)
    if (cluster.tls.cert_file is None) != (cluster.tls.key_file is None):
        key = "halab_cert_file" if cluster.tls.cert_file is None else "halab_key_file"
        parameters.refuse(key, None, "is not set, but the other half of the pair is", f"Set {key} too.")


def _patroni(hosts: list[Host], parameters: Parameters) -> PatroniCluster:
    names = [host.name for host in hosts]
    groups = _citus_groups(names, parameters)
    return PatroniCluster(
        scope=parameters.text(names, "patroni_scope"),
        namespace=parameters.text(names, "patroni_namespace"),
        members=tuple(
            PatroniMember(
                host=host,
                postgresql_port=parameters.port(host.name, "patroni_postgresql_port"),
                rest_port=parameters.port(host.name, "patroni_rest_port"),
                rest_tls=parameters.flag([host.name], "patroni_rest_tls"),
                alias=parameters.name(host.name, "patroni_name"),
                group=groups.get(host.name),
            )
            for host in hosts
        ),
        postgresql_version=parameters.number(names, "patroni_postgresql_version", smallest=14, largest=99),
        synchronous_mode=parameters.choice(names, "patroni_synchronous_mode", SYNCHRONOUS_MODES),
        superuser=parameters.text(names, "patroni_superuser"),
        superuser_password=parameters.secret(names, "patroni_superuser_password"),
        rest_user=parameters.text(names, "patroni_rest_user"),
        rest_password=parameters.secret(names, "patroni_rest_password"),
        sslmode=parameters.choice(names, "patroni_postgresql_sslmode", SSL_MODES, default="verify-full"),
        database=parameters.text(names, "patroni_citus_database") if groups else "postgres",
    )


def _citus_groups(names: list[str], parameters: Parameters) -> dict[str, int]:
    """The group of each host; empty without Citus."""
    given = {name: parameters.text([name], "patroni_group", default="") for name in names}
    if not any(given.values()):
        return {}
    lacking = [name for name, group in given.items() if not group]
    if lacking:
        fix = "Give every host of group patroni the number of its Citus group, 0 for the coordinator, or none of them."
        parameters.refuse("patroni_group", None, f"is not set for {', '.join(lacking)}", fix)
        return {}
    groups = {name: parameters.number([name], "patroni_group", smallest=0, largest=999_999_999) for name in names}
    if COORDINATOR not in groups.values() and not parameters.refused("patroni_group"):
        shown = ", ".join(sorted(set(given.values())))
        parameters.refuse("patroni_group", shown, "lacks the coordinator", "Set it to 0 for the coordinator's hosts.")
    return groups


def _untested(names: list[str], parameters: Parameters) -> tuple[str, ...]:
    """Citus, where it is asked for by `citus: auto` and no host is given a group."""
    wanted = parameters.choice(names, "citus", ("auto", "required", "absent"), default="absent") == "auto"
    grouped = any(parameters.text([name], "patroni_group", default="") for name in names)
    return ("Citus",) if wanted and not grouped else ()


def _etcd(hosts: list[Host], parameters: Parameters) -> EtcdCluster:
    return EtcdCluster(
        members=tuple(
            EtcdMember(
                host=host,
                client_port=parameters.port(host.name, "etcd_client_port"),
                tls=parameters.flag([host.name], "etcd_tls"),
            )
            for host in hosts
        ),
        root_password=parameters.secret([host.name for host in hosts], "etcd_root_password"),
    )


def _haproxy(hosts: list[Host], parameters: Parameters) -> Haproxy | None:
    if not hosts:
        return None
    names = [host.name for host in hosts]
    return Haproxy(
        balancers=tuple(hosts),
        address=parameters.text(names, "haproxy_address", default=""),
        write_port=parameters.number(names, "haproxy_write_port", smallest=1, largest=65535),
        read_port=parameters.number(names, "haproxy_read_port", smallest=1, largest=65535),
        stats_port=parameters.number(names, "haproxy_stats_port", smallest=1, largest=65535),
        stats_user=parameters.text(names, "haproxy_stats_user"),
        stats_password=parameters.secret(names, "haproxy_stats_password"),
        stats_path=parameters.text(names, "haproxy_stats_path", default="/stats"),
        stats_tls=parameters.flag(names, "haproxy_stats_tls"),
        node_path=parameters.text(names, "haproxy_node_path", default="/node"),
        workers_port=parameters.number(names, "haproxy_workers_port", smallest=1, largest=65535),
    )


def _redis(hosts: list[Host], parameters: Parameters) -> RedisGroup | None:
    if not hosts:
        return None
    names = [host.name for host in hosts]
    return RedisGroup(
        members=tuple(
            RedisMember(
                host=host,
                port=parameters.port(host.name, "redis_port"),
                sentinel_port=parameters.port(host.name, "redis_sentinel_port"),
            )
            for host in hosts
        ),
        master_name=parameters.text(names, "redis_master_name"),
        admin_user=parameters.text(names, "redis_admin_user"),
        admin_password=parameters.secret(names, "redis_admin_password"),
        eviction=parameters.text(names, "redis_maxmemory_policy"),
        tls=parameters.flag(names, "redis_tls"),
    )
