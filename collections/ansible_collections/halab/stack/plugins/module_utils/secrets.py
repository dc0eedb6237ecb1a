# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""A file of generated secrets, shared safely by processes that run at the same time."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import secrets
import string
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

MINIMUM_LENGTH = 16
_ALPHABET = string.ascii_letters + string.digits
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class SecretError(Exception):
    """A secret cannot be read, made or kept. The message never quotes a secret."""


def generate(length: int) -> str:
    """Return `length` random letters and digits; alphanumeric because every consumer takes those unquoted."""
    if length < MINIMUM_LENGTH:
        raise SecretError(f"length {length} is too short for a secret; use {MINIMUM_LENGTH} or more")
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


@dataclass(frozen=True, slots=True)
class SecretStore:
    """Secrets in `directory`/secrets.yml, one `name: value` a line, mode 0600.

    Writers take turns by a lock on the directory and replace the file whole, so readers need no lock.
    """

    directory: Path

    @property
    def path(self) -> Path:
        """Where the secrets are."""
        return self.directory / "secrets.yml"

    def get(self, name: str) -> str | None:
        """Return the secret called `name`, or None when there is none yet. Raises SecretError."""
        return self._read().get(_valid(name))

    def ensure(self, name: str, *, length: int) -> str:
        """Return the secret called `name`, making and keeping it when there is none yet. Raises SecretError."""
        name = _valid(name)
        present = self.get(name)
        if present is not None:
            return present
        try:
            with self._lock():
                values = self._read()
                if name not in values:
                    values[name] = generate(length)
                    self._write(values)
                return values[name]
        except OSError as error:
            raise SecretError(f"cannot keep secret {name} in {self.path}: {error.strerror}") from error

    def _read(self) -> dict[str, str]:
        try:
            data = yaml.safe_load(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SecretError(f"cannot read {self.path}: {error.strerror}") from error
        except (yaml.YAMLError, UnicodeDecodeError):
            # The parser's own message quotes the line, which holds a secret, and a cause is printed with its effect.
            raise SecretError(f"{self.path} is not YAML; every line must be `name: value`") from None
        return self._checked(data)

    def _checked(self, data: object) -> dict[str, str]:
        if data is None:
            return {}
        if not isinstance(data, Mapping):
            raise SecretError(f"{self.path} must hold `name: value` lines, not a {type(data).__name__}")
        for name, value in data.items():
            if not isinstance(value, str) or not value:
                raise SecretError(f"{self.path}: {name} must be text that is not empty; put its value in quotes")
        return dict(data)

    def _write(self, values: Mapping[str, str]) -> None:
        handle, temporary = tempfile.mkstemp(dir=self.directory, prefix=".secrets-")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as stream:
                yaml.safe_dump(dict(values), stream, default_flow_style=False, sort_keys=True, width=10**6)
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, self.path)
        except BaseException:
            os.unlink(temporary)
            raise

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _valid(name: str) -> str:
    if not _NAME.match(name):
        raise SecretError(f"secret name {name!r} must be letters, digits and underscores, like a variable")
    return str(name)  # Ansible's own kind of string, as a loop over YAML has it, is nothing that YAML can write
