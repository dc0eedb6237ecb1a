# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates of a cluster: an authority, leaves, and the reason why one has to be issued anew.

Python 3.13 verifies strictly (RFC 5280): an authority needs critical basicConstraints and keyUsage and a subject key
identifier, a leaf an authority key identifier. etcd's JSON gateway connects to etcd with the server's own certificate,
so leaves carry clientAuth beside serverAuth; and it refuses clients whose certificate has a common name, so leaves have
none and are named by their organizational unit (etcd 3.5, server/embed/serve.go, accessController).
"""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Clocks of controller and nodes may differ by this much.
BACKDATED = dt.timedelta(hours=1)
NAME_LIMIT = 64  # RFC 5280, ub-common-name and ub-organizational-unit-name


class PkiError(Exception):
    """A certificate or key cannot be used. The message names the file and the fix."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A certificate and its key. `chain` is the certificate file as it is, perhaps with more certificates."""

    certificate: x509.Certificate
    key: CertificateIssuerPrivateKeyTypes
    chain: bytes

    def key_pem(self) -> bytes:
        """Return the key in PEM (PKCS 8, not encrypted)."""
        form, none = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, form, none)


@dataclass(frozen=True, slots=True)
class Subject:
    """What a leaf shall certify: whose it is, DNS names, IP addresses, and whether it may serve."""

    holder: str
    names: tuple[str, ...] = ()
    addresses: tuple[str, ...] = ()
    server: bool = True

    @classmethod
    def of_host(cls, name: str, endpoints: Sequence[str]) -> Subject:
        """Return the subject of a host reached by `endpoints`, each an IP address or a DNS name, and by localhost."""
        names, addresses = [name, "localhost"], ["127.0.0.1"]
        for endpoint in endpoints:
            try:
                addresses.append(str(ipaddress.ip_address(endpoint)))
            except ValueError:
                names.append(endpoint)
        return cls(name, tuple(sorted(set(names))), tuple(sorted(set(addresses))))

    def name(self) -> x509.Name:
        """Return the subject's name."""
        unit = x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, self.holder[:NAME_LIMIT])
        return x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "halab"), unit])

    def usages(self) -> tuple[x509.ObjectIdentifier, ...]:
        """Return what the leaf may be used for."""
        client = (ExtendedKeyUsageOID.CLIENT_AUTH,)
        return (ExtendedKeyUsageOID.SERVER_AUTH, *client) if self.server else client

    def alternatives(self) -> x509.SubjectAlternativeName:
        """Return the subject alternative names."""
        names: list[x509.GeneralName] = [x509.DNSName(name) for name in self.names]
        return x509.SubjectAlternativeName(names + [x509.IPAddress(ipaddress.ip_address(a)) for a in self.addresses])


def load(certificate: Path, key: Path, *, passphrase: str | None = None) -> Identity:
    """Return the identity in two PEM files. Raises PkiError, also when key and certificate do not belong together."""
    try:
        chain, secret = certificate.read_bytes(), key.read_bytes()
    except OSError as error:
        raise PkiError(f"cannot read {error.filename}: {error.strerror}") from error
    try:
        first = x509.load_pem_x509_certificate(chain)
    except ValueError as error:
        raise PkiError(f"{certificate} is not a certificate in PEM: {error}") from error
    try:
        private = serialization.load_pem_private_key(secret, passphrase.encode() if passphrase else None)
    except (ValueError, TypeError) as error:
        raise PkiError(f"{key} is not a key in PEM, or its passphrase is missing or wrong: {error}") from error
    if private.public_key() != first.public_key():
        raise PkiError(f"{key} is not the key of {certificate}")
    if not isinstance(private, get_args(CertificateIssuerPrivateKeyTypes)):
        raise PkiError(f"{key} holds a key that cannot sign")
    return Identity(first, cast(CertificateIssuerPrivateKeyTypes, private), chain)


def check_authority(identity: Identity, path: Path, *, now: dt.datetime) -> None:
    """Raise PkiError when `identity`, supplied by the user in `path`, cannot be an authority for every component."""
    certificate = identity.certificate
    if now >= certificate.not_valid_after_utc:
        raise PkiError(f"{path} expired at {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; supply another")
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    except x509.ExtensionNotFound as error:
        raise PkiError(f"{path} cannot be the authority: it has no {error.oid._name}, which Python verifies") from error
    if not constraints.ca or not usage.key_cert_sign:
        raise PkiError(f"{path} cannot be the authority: it may not sign certificates (CA:TRUE and keyCertSign)")


def make_authority(common_name: str, *, days: int, now: dt.datetime, renewed: Identity | None = None) -> Identity:
    """Return a self-signed authority. With the key of `renewed`, leaves of the old certificate stay valid."""
    key = renewed.key if renewed else ec.generate_private_key(ec.SECP256R1())
    made = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:NAME_LIMIT])])
    name = renewed.certificate.subject if renewed else made
    builder = (
        _builder(subject=name, issuer=name, now=now, end=now + dt.timedelta(days=days))
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(_usage(certify=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _signed(builder, key=key, by=key)


def issue(authority: Identity, subject: Subject, *, days: int, now: dt.datetime) -> Identity:
    """Return a new leaf for `subject`, valid for `days` days but no longer than its authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    signer = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    end = min(now + dt.timedelta(days=days), authority.certificate.not_valid_after_utc)
    builder = (
        _builder(subject=subject.name(), issuer=authority.certificate.subject, now=now, end=end)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certify=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(subject.usages()), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(signer), critical=False)
    )
    if subject.names or subject.addresses:
        builder = builder.add_extension(subject.alternatives(), critical=False)
    return _signed(builder, key=key, by=authority.key)


def why_due(certificate: x509.Certificate, *, renew_before_days: int, now: dt.datetime) -> str:
    """Return why `certificate` is due for renewal, empty when it is not."""
    end = certificate.not_valid_after_utc
    due = end - dt.timedelta(days=renew_before_days) <= now
    return f"it expires at {end:%Y-%m-%d %H:%M} UTC" if due else ""


def why_unfit(leaf: Identity, authority: Identity, subject: Subject) -> str:
    """Return why `leaf` does not certify `subject` for this authority, empty when it does."""
    certificate = leaf.certificate
    try:
        certificate.verify_directly_issued_by(authority.certificate)
    except (InvalidSignature, ValueError, TypeError):
        return "it was issued by another authority"
    if certificate.subject != subject.name():
        return "its holder changed"
    if _alternatives(certificate) != set(subject.alternatives()):
        return "its names or addresses changed"
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        usages = x509.ExtendedKeyUsage([])
    return "" if set(usages) == set(subject.usages()) else "its usage changed"


def _alternatives(certificate: x509.Certificate) -> set[x509.GeneralName]:
    try:
        return set(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except x509.ExtensionNotFound:
        return set()


def _builder(*, subject: x509.Name, issuer: x509.Name, now: dt.datetime, end: dt.datetime) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().serial_number(x509.random_serial_number())
    return builder.subject_name(subject).issuer_name(issuer).not_valid_before(now - BACKDATED).not_valid_after(end)


def _signed(
    builder: x509.CertificateBuilder, *, key: CertificateIssuerPrivateKeyTypes, by: CertificateIssuerPrivateKeyTypes
) -> Identity:
    # Edwards curves bring their own hash.
    algorithm = None if isinstance(by, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()
    certificate = builder.sign(by, algorithm)
    return Identity(certificate, key, certificate.public_bytes(serialization.Encoding.PEM))


def _usage(*, certify: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certify,
        key_cert_sign=certify,
        crl_sign=certify,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
