"""Runs of the playbook that pretend, that see one host only, or that are killed."""

from __future__ import annotations

import datetime as dt
import json
import socket
import ssl
from typing import Any

import pytest
from cryptography import x509
from tests.day2.pulse import beating
from tests.day2.site import THREE, Site

from halab.clients.http import client_context

pytestmark = [pytest.mark.live, pytest.mark.slow, pytest.mark.destructive, pytest.mark.timeout(1800)]

UNNOTICED_S = 5.0
"""Longest time between two writes when nothing is restarted, on a busy host; none may fail."""
CHANGES: dict[str, Any] = {
    "etcd_quota_bytes": 1073741824,
    "patroni_parameters": {"work_mem": "5MB"},
    "haproxy_idle_timeout": "23h",
    "redis_maxmemory": "200mb",
}
FILES = (
    "sha256sum /etc/default/etcd /etc/patroni/config.yml /etc/haproxy/haproxy.cfg /etc/keepalived/keepalived.conf "
    "/etc/hosts /etc/patroni/tls/* /etc/redis/tls/* /etc/etcd/tls/* /etc/haproxy/tls/*; "
    "systemctl show --property=MainPID etcd patroni haproxy keepalived redis-server redis-sentinel"
)


def extra(changes: dict[str, Any]) -> tuple[str, ...]:
    """Options of ansible-playbook that declare other parameters."""
    return ("-e", json.dumps(changes))


def renewal(site: Site) -> tuple[str, ...]:
    """Options by which every certificate counts as due, and none once it was renewed: a killed run can go on."""
    tls = site.cluster().tls
    assert tls and tls.cert_file
    issued = [tls.cert_file, *sorted((tls.cert_file.parent / "nodes").glob("*.crt"))]
    ends = max(x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc for file in issued)
    left = (ends - dt.datetime.now(dt.UTC)).days + 1
    return extra({"certs_renew_before_days": left, "certs_validity_days": left + 1})


def served(site: Site) -> dict[str, set[str]]:
    """Serial numbers of the certificates that the processes of each machine show; one when all agree."""
    cluster = site.cluster()
    context = client_context(cluster.tls)
    found: dict[str, set[str]] = {}
    for member in cluster.patroni.members:
        address = member.host.address
        ports = [2379, 2380, member.rest_port, 6379, 26379, 7000]
        found[member.name] = {_serial(address, port, context) for port in ports}
        found[member.name].add(_postgresql_serial(address, member.postgresql_port, context))
    return found


def _serial(address: str, port: int, context: ssl.SSLContext) -> str:
    with (
        socket.create_connection((address, port), 5) as plain,
        context.wrap_socket(plain, server_hostname=address) as tls,
    ):
        return str((tls.getpeercert() or {}).get("serialNumber"))


def _postgresql_serial(address: str, port: int, context: ssl.SSLContext) -> str:
    with socket.create_connection((address, port), 5) as plain:
        # SSLRequest of the PostgreSQL protocol: length and code.
        plain.sendall(bytes.fromhex("0000000804d2162f"))
        assert plain.recv(1) == b"S"
        with context.wrap_socket(plain, server_hostname=address) as tls:
            return str((tls.getpeercert() or {}).get("serialNumber"))


def test_check_mode_tells_what_a_run_does(site: Site) -> None:
    hosts = ":".join(THREE)
    before = site.shell(hosts, FILES)
    assert not any(site.provision("--check").counts.values())
    promised = site.provision("--check", *extra(CHANGES))
    assert site.shell(hosts, FILES) == before, "check mode changed something"
    done = site.provision(*extra(CHANGES))
    assert {host for _, host in promised.changed} == {host for _, host in done.changed}
    # Restarts and reloads follow from these; whether one is due is known when the files are there.
    unpromised = {task for task, host in done.changed - promised.changed if "configure" in task or "cluster" in task}
    assert not unpromised, done.output
    assert not any(site.provision("--check", *extra(CHANGES)).counts.values())
    site.provision()


def test_a_run_on_one_host_leaves_the_others_as_they_are(site: Site) -> None:
    one, *others = THREE
    pattern = ":".join(others)
    before = site.shell(pattern, FILES)
    own = site.shell(one, "cat /etc/haproxy/haproxy.cfg /etc/patroni/config.yml /etc/default/etcd /etc/hosts")[one]
    assert not any(site.provision("--limit", one).counts.values()), "one host alone is described otherwise"
    done = site.provision("--limit", one, *extra({"haproxy_idle_timeout": "22h", "etcd_quota_bytes": 1073741824}))
    assert {host for _, host in done.changed} == {one}
    assert site.shell(pattern, FILES) == before
    for address in (member.host.address for member in site.cluster().patroni.members):
        assert own.count(address) >= 4, f"{one} has forgotten {address}"
    site.play("verify")
    assert {host for _, host in site.provision().changed} == {one}


def test_certificates_are_renewed_unnoticed(site: Site, record_property: pytest.RecordProperty) -> None:
    before = served(site)
    with beating(site.cluster()) as pulses:
        site.provision(*renewal(site))
    record_property("told", pulses.told())
    after = served(site)
    assert {name: len(serials) for name, serials in after.items()} == dict.fromkeys(THREE, 1), after
    assert not any(after[name] & before[name] for name in THREE), "something still shows its old certificate"
    assert not any(pulse.errors for pulse in pulses.pulses), pulses.told()
    assert max(pulse.outage_s for pulse in pulses.pulses) < UNNOTICED_S, pulses.told()


INSTANTS = (
    "certs : Issue certificates",
    "etcd : service | Serve",
    "Reload Patroni",
    "haproxy : serve | Start",
    "Reload HAProxy",
    "redis : serve | Settings",
    "Restart the replicas one at a time",
)


def test_runs_that_were_killed_are_completed_by_the_next(site: Site) -> None:
    """Each is killed later than the one before, and the last is not: what any of them left must be in force."""
    before = served(site)
    renew = renewal(site)
    first, *later = INSTANTS
    site.kill_at(first, *renew)
    site.kill_at(later[0], *renew)
    for instant in later[1:]:
        # Without the parameter nothing is renewed again: what was made and placed is what shall be in force.
        site.kill_at(instant)
    site.provision()
    after = served(site)
    assert {name: len(serials) for name, serials in after.items()} == dict.fromkeys(THREE, 1), after
    assert not any(after[name] & before[name] for name in THREE), "something still shows its old certificate"
    assert not any(site.provision().counts.values())
