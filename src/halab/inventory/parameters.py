"""Values of parameters: the inventory's, else the role's literal default or, for a secret, the store's."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from halab.errors import Problem
from halab.inventory.source import open_vault

# YAML 1.1 reads a bare on or off as a boolean.
_TRUE, _FALSE = ("true", "on", "yes"), ("false", "off", "no")
_WORDS = {True: "on", False: "off"}
_REFERENCE = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_LONGEST_CHAIN = 5
_SEALED = "$ANSIBLE_VAULT"


@dataclass(slots=True)
class Parameters:
    """Looks parameters up and keeps every problem found, so that one run names them all."""

    variables: Mapping[str, Mapping[str, Any]]
    defaults: Mapping[str, Any]
    secrets: Mapping[str, str] | None
    problems: list[Problem] = field(default_factory=list)
    if_unknown: str = "Run playbooks/provision.yml, or set it."
    opened: dict[str, str] = field(default_factory=dict, repr=False)

    def text(self, hosts: Sequence[str], key: str, *, default: str | None = None) -> str:
        """A value that all of `hosts` share; empty, with a problem noted, when missing, different or a template."""
        values = {host: self._value(host, key, default) for host in hosts}
        different = {str(value) for value in values.values()}
        if len(different) > 1:
            shown = ", ".join(f"{host}: {value}" for host, value in values.items())
            self.refuse(key, shown, "differs between hosts of one cluster", "Set it once, in group_vars.")
            return ""
        value = next(iter(values.values()), None)
        if value is None:
            self.refuse(key, None, "is not set and has no default in a role", f"Set {key} in the inventory.")
            return ""
        if is_template(value):
            self.refuse(key, value, "is a template, but Python reads it too", "Write a literal value in the inventory.")
            return ""
        return _WORDS[value] if isinstance(value, bool) else str(value)

    def choice(self, hosts: Sequence[str], key: str, allowed: Sequence[str], *, default: str | None = None) -> str:
        """A value out of `allowed`; empty with a problem noted when it is another."""
        value = self.text(hosts, key, default=default)
        if value not in allowed and not self.refused(key):
            self.refuse(key, value, "is not a known value", f"Choose one of {', '.join(allowed)}.")
        return value

    def flag(self, hosts: Sequence[str], key: str, *, default: bool = True) -> bool:
        """True or false, the same for all of `hosts`; the default with a problem noted for anything else."""
        text = self.text(hosts, key, default="true" if default else "false").lower()
        if text in _TRUE or text in _FALSE:
            return text in _TRUE
        if not self.refused(key):
            self.refuse(key, text, "is neither true nor false", "Write true or false.")
        return default

    def name(self, host: str, key: str) -> str:
        """A name of one host that the inventory gives; empty when it gives none, so that its own is meant."""
        return self.text([host], key) if self.given([host], key) else ""

    def given(self, hosts: Sequence[str], key: str) -> bool:
        """Whether the inventory itself sets a key for any of `hosts`."""
        return any(key in self.variables.get(host, {}) for host in hosts)

    def port(self, host: str, key: str) -> int:
        """A TCP port of one host; 0 with a problem noted when it is none."""
        return self.number([host], key, smallest=1, largest=65535)

    def number(self, hosts: Sequence[str], key: str, *, smallest: int, largest: int) -> int:
        """A whole number that is the same for all of `hosts`; 0 with a problem noted when it is out of range."""
        text = self.text(hosts, key)
        if self.refused(key):
            return 0
        if not (text.isascii() and text.isdigit()) or not smallest <= int(text) <= largest:
            self.refuse(key, text, "is not a whole number in range", f"Give a number from {smallest} to {largest}.")
            return 0
        return int(text)

    def secret(self, hosts: Sequence[str], key: str) -> str:
        """A password: the variable when it is set, else the store's. Empty when there is no store to ask."""
        given = {str(value) for host in hosts if (value := self._given(host, key)) is not None}
        if len(given) > 1:
            self.refuse(key, None, "differs between hosts of one cluster", "Set it once, in group_vars.")
            return ""
        if not given:
            return self._stored(key)
        value = given.pop()
        if is_template(value) or value == _SEALED:
            fix = "Write it literally or vaulted, and give Ansible the vault password (ANSIBLE_VAULT_PASSWORD_FILE)."
            self.refuse(key, None, "is a template or a vault that does not open", fix)
            return ""
        return value

    def refuse(self, key: str, value: object, reason: str, fix: str) -> None:
        problem = Problem(key, value, reason, fix)
        if problem not in self.problems:
            self.problems.append(problem)

    def refused(self, key: str) -> bool:
        """Whether a problem with this key is known already."""
        return any(problem.key == key for problem in self.problems)

    def _stored(self, key: str) -> str:
        if self.secrets is None:
            return ""
        if key not in self.secrets:
            self.refuse(key, None, "is in neither inventory nor store", self.if_unknown)
            return ""
        return self.secrets[key]

    def _value(self, host: str, key: str, default: str | None) -> Any:
        given = self._given(host, key)
        return given if given is not None else self.defaults.get(key, default)

    def _given(self, host: str, key: str) -> Any:
        value = self._plain(self.variables.get(host, {}).get(key))
        # `x: "{{ vault_x }}"` is how people keep vaulted values apart: follow a reference, evaluate nothing else.
        for _ in range(_LONGEST_CHAIN):
            reference = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
            if reference is None or reference[1] not in self.variables[host]:
                break
            value = self._plain(self.variables[host][reference[1]])
        return value

    def _plain(self, value: Any) -> Any:
        """ansible-inventory shows vaulted strings, and those that plugins did not mark as trusted, inside an object."""
        if not isinstance(value, dict):
            return value
        if "__ansible_vault" in value:
            text = value["__ansible_vault"]
            if text not in self.opened:
                self.opened[text] = open_vault(text) or _SEALED
            return self.opened[text]
        return value.get("__ansible_unsafe", value)


def is_template(value: object) -> bool:
    """Whether Ansible would evaluate this text."""
    return isinstance(value, str) and ("{{" in value or "{%" in value)
