"""Certificates: accepted by the strictest verifiers, renewed when they must be and only then."""

from __future__ import annotations

import datetime as dt
import shutil
import socket
import ssl
import stat
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from tests.unit.stack_core.conftest import PARAMETERS, MakeKeeper

from ansible_collections.halab.stack.plugins.module_utils import pki
from ansible_collections.halab.stack.plugins.module_utils.certificates import Keeper

STRICT = ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
EVERYTHING = ["ca", "client", "nodes/pg1", "nodes/pg2"]


def issued(keeper: Keeper) -> list[str]:
    """Return the names of what is issued."""
    return [issue.name for issue in keeper.keep()[0]]


def snapshot(directory: Path) -> dict[str, bytes]:
    """Return the content of all files."""
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def handshake(directory: Path, *, server: str, client: str, hostname: str) -> None:
    """Let a strict server and a strict client meet. Raises ssl.SSLError."""
    server_side, client_side = socket.socketpair()
    contexts = []
    for purpose, name in ((ssl.Purpose.CLIENT_AUTH, server), (ssl.Purpose.SERVER_AUTH, client)):
        context = ssl.create_default_context(purpose, cafile=str(directory / "ca.crt"))
        context.load_cert_chain(directory / f"{name}.crt", directory / f"{name}.key")
        context.verify_mode = ssl.CERT_REQUIRED
        context.verify_flags |= STRICT
        contexts.append(context)
    failures: list[Exception] = []

    def serve() -> None:
        try:
            with contexts[0].wrap_socket(server_side, server_side=True) as end:
                end.recv(1)
        except OSError as error:
            failures.append(error)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with contexts[1].wrap_socket(client_side, server_hostname=hostname) as end:
            end.send(b"x")
    finally:
        client_side.close()
        thread.join(10)
    if failures:
        raise failures[0]


@pytest.mark.parametrize("hostname", ["pg1", "localhost", "127.0.0.1", "10.0.0.9"])
def test_strict_tls_accepts_both_sides_under_every_name(certificates: Path, hostname: str) -> None:
    handshake(certificates, server="nodes/pg1", client="client", hostname=hostname)


def test_a_host_is_client_of_another_host(certificates: Path) -> None:
    handshake(certificates, server="nodes/pg2", client="nodes/pg1", hostname="pg2.example.org")


def test_strict_tls_refuses_a_name_that_is_not_certified(certificates: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(certificates, server="nodes/pg1", client="client", hostname="10.0.0.2")


def test_the_client_certificate_cannot_serve(certificates: Path) -> None:
    with pytest.raises(ssl.SSLError):
        handshake(certificates, server="client", client="nodes/pg1", hostname="localhost")


@pytest.mark.skipif(not shutil.which("openssl"), reason="the program openssl is not installed")
@pytest.mark.parametrize(("name", "purpose"), [("client", "sslclient"), ("nodes/pg1", "sslserver")])
def test_openssl_accepts_the_chain_strictly(certificates: Path, name: str, purpose: str) -> None:
    command = ["openssl", "verify", "-x509_strict", "-purpose", purpose, "-CAfile", "ca.crt", f"{name}.crt"]
    done = subprocess.run(command, cwd=certificates, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_leaves_have_no_common_name(certificates: Path) -> None:
    for name in ("client", "nodes/pg1"):
        certificate = x509.load_pem_x509_certificate((certificates / f"{name}.crt").read_bytes())
        assert not certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)


def test_the_authority_says_what_it_may(certificates: Path) -> None:
    extensions = x509.load_pem_x509_certificate((certificates / "ca.crt").read_bytes()).extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (constraints.critical, constraints.value.ca) == (True, True)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.crl_sign) == (True, True, True)
    assert extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest


def test_a_second_run_issues_nothing(make_keeper: MakeKeeper) -> None:
    assert issued(make_keeper()) == EVERYTHING
    before = snapshot(make_keeper().directory)
    assert issued(make_keeper()) == []
    assert snapshot(make_keeper().directory) == before


def test_keys_are_private(make_keeper: MakeKeeper) -> None:
    directory = make_keeper().directory
    make_keeper().keep()
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [*directory.parent.rglob("*"), directory.parent]}
    wanted = {".key": 0o600, ".crt": 0o644, "": 0o700}
    assert modes == {path: wanted[path.suffix] for path in modes}


def test_a_plan_writes_nothing(make_keeper: MakeKeeper) -> None:
    assert [issue.name for issue in make_keeper().plan()[0]] == EVERYTHING
    assert not make_keeper().directory.parent.exists()


def test_only_a_host_whose_names_change_is_renewed(make_keeper: MakeKeeper) -> None:
    make_keeper().keep()
    hosts: list[dict[str, Any]] = [dict(host) for host in PARAMETERS["hosts"]]
    hosts[1]["addresses"] = ["10.0.0.99"]
    issues, kept = make_keeper(hosts=hosts).keep()
    assert [(issue.name, issue.reason) for issue in issues] == [("nodes/pg2", "its names or addresses changed")]
    names = kept["nodes/pg2"].certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {str(address) for address in names.get_values_for_type(x509.IPAddress)} == {
        "10.0.0.2",
        "10.0.0.99",
        "127.0.0.1",
    }


def test_leaves_are_renewed_before_they_expire(make_keeper: MakeKeeper) -> None:
    make_keeper().keep()
    assert issued(make_keeper(after_days=825 - 31)) == []
    assert issued(make_keeper(after_days=825 - 29)) == ["client", "nodes/pg1", "nodes/pg2"]


def test_a_renewed_authority_keeps_certificates_valid(make_keeper: MakeKeeper) -> None:
    keeper = make_keeper(authority_validity_days=400, validity_days=300)
    old = keeper.keep()[1]
    issues, new = make_keeper(authority_validity_days=4000, validity_days=300, renew_before_days=299).keep()
    assert issues == []
    later = make_keeper(after_days=375, authority_validity_days=4000, validity_days=300)
    assert issued(later)[0] == "ca"
    authority = later.plan()[1]["ca"]
    assert authority.certificate != old["ca"].certificate
    old["nodes/pg1"].certificate.verify_directly_issued_by(authority.certificate)
    assert new["nodes/pg1"].certificate == old["nodes/pg1"].certificate


def test_a_leaf_never_outlives_its_authority(make_keeper: MakeKeeper) -> None:
    kept = make_keeper(authority_validity_days=100).keep()[1]
    assert kept["client"].certificate.not_valid_after_utc == kept["ca"].certificate.not_valid_after_utc


def test_a_pair_that_does_not_match_is_issued_anew(make_keeper: MakeKeeper) -> None:
    keeper = make_keeper()
    keeper.keep()
    shutil.copy(keeper.directory / "client.key", keeper.directory / "nodes" / "pg1.key")
    assert issued(make_keeper()) == ["nodes/pg1"]


def test_a_damaged_authority_is_never_replaced_silently(make_keeper: MakeKeeper) -> None:
    keeper = make_keeper()
    keeper.keep()
    (keeper.directory / "ca.key").unlink()
    before = snapshot(keeper.directory)
    with pytest.raises(pki.PkiError, match=r"ca\.key.*to replace it and every certificate, remove .*ca\.crt"):
        make_keeper().keep()
    assert snapshot(keeper.directory) == before
    (keeper.directory / "ca.crt").unlink()
    assert issued(make_keeper()) == EVERYTHING


def supply(folder: Path, *, ca: bool = True, passphrase: str | None = None, days: int = 1000) -> dict[str, Any]:
    """Make an authority as a company has it (RSA, made by other software) and return the parameters that name it."""
    key = rsa.generate_private_key(65537, 2048)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Company CA")])
    now = dt.datetime.now(dt.UTC)
    usage = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
    )
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=2000))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
        .add_extension(
            x509.KeyUsage(**usage, key_cert_sign=ca, crl_sign=ca, encipher_only=False, decipher_only=False),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir()
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    protection: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if passphrase:
        protection = serialization.BestAvailableEncryption(passphrase.encode())
    form = serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, protection))
    paths = {"authority_cert": str(folder / "ca.pem"), "authority_key": str(folder / "key.pem")}
    return {**paths, "authority_passphrase": passphrase}


def test_an_authority_of_the_user_signs_and_its_key_stays_where_it_is(make_keeper: MakeKeeper, tmp_path: Path) -> None:
    supplied = supply(tmp_path / "company", passphrase="open sesame")
    keeper = make_keeper(**supplied)
    assert issued(keeper) == EVERYTHING
    assert issued(make_keeper(**supplied)) == []
    assert not (keeper.directory / "ca.key").exists()
    assert (keeper.directory / "ca.crt").read_bytes() == (tmp_path / "company" / "ca.pem").read_bytes()
    handshake(keeper.directory, server="nodes/pg1", client="client", hostname="pg1")


def test_another_authority_replaces_every_certificate(make_keeper: MakeKeeper, tmp_path: Path) -> None:
    make_keeper().keep()
    issues = make_keeper(**supply(tmp_path / "company")).keep()[0]
    assert [issue.name for issue in issues] == EVERYTHING
    assert {issue.reason for issue in issues[1:]} == {"it was issued by another authority"}


@pytest.mark.parametrize(
    ("arguments", "change", "says"),
    [
        ({"ca": False}, {}, "may not sign certificates"),
        ({"days": -1}, {}, "expired at"),
        ({"passphrase": "right"}, {"authority_passphrase": "wrong"}, "passphrase is missing or wrong"),
        ({}, {"authority_key": "/nonexistent/key.pem"}, "cannot read /nonexistent/key.pem"),
    ],
)
def test_an_authority_that_cannot_serve_is_refused_before_anything_is_written(
    make_keeper: MakeKeeper, tmp_path: Path, arguments: dict[str, Any], change: dict[str, Any], says: str
) -> None:
    keeper = make_keeper(**{**supply(tmp_path / "company", **arguments), **change})
    with pytest.raises(pki.PkiError, match=says):
        keeper.keep()
    assert snapshot(keeper.directory) == {}


def test_a_key_of_another_certificate_is_refused(make_keeper: MakeKeeper, tmp_path: Path) -> None:
    supplied = supply(tmp_path / "company")
    other = ec.generate_private_key(ec.SECP256R1())
    pem = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    Path(supplied["authority_key"]).write_bytes(other.private_bytes(*pem))
    with pytest.raises(pki.PkiError, match="is not the key of"):
        make_keeper(**supplied).keep()
