# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A directory of certificates: decide which are to be issued, and write them."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.halab.stack.plugins.module_utils import pki


@dataclass(frozen=True, slots=True)
class Issue:
    """A certificate to be written, and why. `key` is None when the key is kept elsewhere."""

    name: str
    reason: str
    certificate: Path
    key: Path | None
    identity: pki.Identity


@dataclass(frozen=True, slots=True)
class Policy:
    """How long certificates are valid, who signs them, and when they are renewed."""

    client_name: str
    authority_name: str
    authority_cert: Path | None
    authority_key: Path | None
    authority_passphrase: str | None
    validity_days: int
    authority_validity_days: int
    renew_before_days: int


@dataclass(frozen=True, slots=True)
class Keeper:
    """Keeps the certificates of `hosts` in `directory`, at the moment `now`."""

    directory: Path
    hosts: tuple[tuple[str, pki.Subject], ...]
    policy: Policy
    now: dt.datetime

    @classmethod
    def of(cls, params: Mapping[str, Any], *, now: dt.datetime) -> Keeper:
        """Return the keeper that the parameters of the module describe."""
        hosts = tuple(
            (host["name"], pki.Subject.of_host(host["name"], [host["address"], *host["names"], *host["addresses"]]))
            for host in params["hosts"]
        )
        values = {name: params[name] for name in Policy.__dataclass_fields__}
        for name in ("authority_cert", "authority_key"):
            values[name] = Path(values[name]) if values[name] else None
        return cls(Path(params["directory"]), hosts, Policy(**values), now)

    def keep(self) -> tuple[list[Issue], dict[str, pki.Identity]]:
        """Plan and write, one process at a time. Raises pki.PkiError and OSError."""
        for folder in (self.directory.parent, self.directory):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            issues, kept = self.plan()
            for issue in issues:
                _write(issue)
            return issues, kept
        finally:
            os.close(descriptor)

    def plan(self) -> tuple[list[Issue], dict[str, pki.Identity]]:
        """Return what is to be issued, and every certificate as it is then. Raises pki.PkiError."""
        authority, issues = self._supplied() if self.policy.authority_cert else self._own()
        kept = {"ca": authority}
        for name, subject in self._subjects():
            certificate, key = self.directory / f"{name}.crt", self.directory / f"{name}.key"
            leaf, reason = self._leaf(certificate, key, authority, subject)
            if leaf is None:
                leaf = pki.issue(authority, subject, days=self.policy.validity_days, now=self.now)
                issues.append(Issue(name, reason, certificate, key, leaf))
            kept[name] = leaf
        return issues, kept

    def _subjects(self) -> Iterator[tuple[str, pki.Subject]]:
        yield "client", pki.Subject(self.policy.client_name, server=False)
        for name, subject in self.hosts:
            yield f"nodes/{name}", subject

    def _own(self) -> tuple[pki.Identity, list[Issue]]:
        certificate, key = self.directory / "ca.crt", self.directory / "ca.key"
        present, reason = None, "it is missing"
        if certificate.exists():
            present, reason = self._own_present(certificate, key)
            if not reason:
                return present, []
        made = pki.make_authority(
            self.policy.authority_name, days=self.policy.authority_validity_days, now=self.now, renewed=present
        )
        return made, [Issue("ca", reason, certificate, key, made)]

    def _own_present(self, certificate: Path, key: Path) -> tuple[pki.Identity, str]:
        try:
            present = pki.load(certificate, key)
        except pki.PkiError as error:
            raise pki.PkiError(
                f"{error}. If the authority was supplied, set authority_cert and authority_key again; "
                f"to replace it and every certificate, remove {certificate}"
            ) from error
        return present, self._why_due(present)

    def _supplied(self) -> tuple[pki.Identity, list[Issue]]:
        policy, certificate = self.policy, self.directory / "ca.crt"
        if policy.authority_cert is None or policy.authority_key is None:
            raise pki.PkiError("authority_cert and authority_key are needed together")
        given = pki.load(policy.authority_cert, policy.authority_key, passphrase=policy.authority_passphrase)
        pki.check_authority(given, policy.authority_cert, now=self.now)
        known = certificate.read_bytes() if certificate.exists() else None
        if known == given.chain:
            return given, []
        reason = "it is missing" if known is None else "another one is supplied"
        return given, [Issue("ca", reason, certificate, None, given)]

    def _leaf(
        self, certificate: Path, key: Path, authority: pki.Identity, subject: pki.Subject
    ) -> tuple[pki.Identity | None, str]:
        if not certificate.exists() or not key.exists():
            return None, "it is missing"
        try:
            present = pki.load(certificate, key)
        except pki.PkiError as error:
            return None, str(error)
        reason = pki.why_unfit(present, authority, subject) or self._why_due(present)
        return (None, reason) if reason else (present, "")

    def _why_due(self, present: pki.Identity) -> str:
        return pki.why_due(present.certificate, renew_before_days=self.policy.renew_before_days, now=self.now)


def _write(issue: Issue) -> None:
    # A run that is killed between key and certificate leaves a pair that does not match, which the next run replaces.
    issue.certificate.parent.mkdir(mode=0o700, exist_ok=True)
    if issue.key:
        _replace(issue.key, issue.identity.key_pem(), 0o600)
    _replace(issue.certificate, issue.identity.chain, 0o644)


def _replace(path: Path, content: bytes, mode: int) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            os.fchmod(stream.fileno(), mode)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise
