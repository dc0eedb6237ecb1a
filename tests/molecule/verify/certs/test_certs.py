"""Role certs: on the controller, an authority, a certificate for each machine and one for clients."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from testinfra.host import Host
from tests.molecule.verify.support import held_by

from ansible_collections.halab.stack.plugins.module_utils import pki
from halab.inventory import Cluster

testinfra_hosts = ["local://"]
WITHIN_DAYS = 825


@pytest.fixture
def folder(cluster: Cluster) -> Path:
    """Where the role keeps its files."""
    return cluster.tls.ca_file.parent


@pytest.fixture
def authority(folder: Path) -> pki.Identity:
    """The authority that the role made."""
    return pki.load(folder / "ca.crt", folder / "ca.key")


def test_keys_are_for_their_owner_only(host: Host, folder: Path) -> None:
    assert held_by(host, str(folder))[2] == "700"
    keys = sorted(folder.rglob("*.key"))
    assert len(keys) > 4, keys
    assert {held_by(host, str(key))[2] for key in keys} == {"600"}


def test_the_authority_may_sign_and_lasts(folder: Path, authority: pki.Identity) -> None:
    now = dt.datetime.now(tz=dt.UTC)
    pki.check_authority(authority, folder / "ca.crt", now=now)
    assert authority.certificate.not_valid_after_utc > now + dt.timedelta(days=3000)


def test_every_machine_is_certified_by_name_and_by_every_address(
    cluster: Cluster, folder: Path, authority: pki.Identity
) -> None:
    assert cluster.haproxy is not None
    for machine in cluster.hosts:
        leaf = pki.load(folder / "nodes" / f"{machine.name}.crt", folder / "nodes" / f"{machine.name}.key")
        subject = pki.Subject.of_host(machine.name, [machine.address, cluster.haproxy.address])
        assert pki.why_unfit(leaf, authority, subject) == ""


def test_clients_have_a_certificate_that_serves_nobody(cluster: Cluster, authority: pki.Identity) -> None:
    leaf = pki.load(cluster.tls.cert_file, cluster.tls.key_file)
    assert pki.why_unfit(leaf, authority, pki.Subject("client", server=False)) == ""


def test_nothing_is_due(folder: Path) -> None:
    now = dt.datetime.now(tz=dt.UTC)
    for path in folder.rglob("*.crt"):
        if path.name != "ca.crt":
            certificate = pki.load(path, path.with_suffix(".key")).certificate
            assert pki.why_due(certificate, renew_before_days=30, now=now) == ""
            assert certificate.not_valid_after_utc < now + dt.timedelta(days=WITHIN_DAYS + 1)
