"""Where a cluster's description comes from: ansible-inventory, the roles' defaults and the store of secrets."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from halab.errors import InputError, Problem

READ_WITHIN_S = 60.0


class InventoryError(InputError):
    """The inventory cannot be read as a cluster; names every key, its value and the fix."""


@dataclass(frozen=True, slots=True)
class RawInventory:
    """An inventory as Ansible merged it: hosts by group (children included), variables by host, untemplated."""

    groups: Mapping[str, tuple[str, ...]]
    declared: frozenset[str]
    variables: Mapping[str, Mapping[str, Any]]


def repository() -> Path:
    """The folder that holds collections/, playbooks/ and scenarios/: above this file, else above the working directory.

    Raises InventoryError when neither is inside a clone of halab.
    """
    for start in (Path(__file__).resolve(), Path.cwd() / "x"):
        for folder in start.parents:
            if (folder / "collections/ansible_collections/halab/stack").is_dir():
                return folder
    problem = Problem("repository", str(Path.cwd()), "is not inside a clone of halab", "Run halab from the clone.")
    raise InventoryError("halab", [problem])


def read_inventory(path: Path) -> RawInventory:
    """Run `ansible-inventory --list` on a file or folder. Raises InventoryError when Ansible cannot parse all of it."""
    if not path.exists():
        problem = Problem("inventory", str(path), "does not exist", "Name a folder or file such as inventories/lab.")
        raise InventoryError(str(path), [problem])
    document = json.loads(_run_ansible_inventory(path))
    variables = document.pop("_meta", {}).get("hostvars", {})
    declared = {child for group in document.values() for child in group.get("children", [])} | set(document)
    groups = {name: tuple(_hosts_of(name, document)) for name in declared}
    return RawInventory(groups=groups, declared=frozenset(declared), variables=variables)


def _run_ansible_inventory(path: Path) -> str:
    # Ansible only warns about a source that it cannot parse and shows an empty inventory: ask for a failure.
    environment = os.environ | {
        "ANSIBLE_CONFIG": str(repository() / "ansible.cfg"),
        "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
        "ANSIBLE_NOCOLOR": "true",
    }
    command = [str(Path(sys.executable).parent / "ansible-inventory"), "-i", str(path), "--list"]
    try:
        result = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=READ_WITHIN_S, check=False
        )
    except FileNotFoundError:
        problem = Problem("ansible-inventory", command[0], "is not installed", "Run `make setup` first.")
        raise InventoryError(str(path), [problem]) from None
    except subprocess.TimeoutExpired:
        problem = Problem("inventory", str(path), f"was not read within {READ_WITHIN_S:g} s", "Look at its plugins.")
        raise InventoryError(str(path), [problem]) from None
    if result.returncode != 0:
        says = f"Ansible says:\n{result.stderr.strip()}"
        problem = Problem("inventory", str(path), "cannot be parsed by Ansible", says)
        raise InventoryError(str(path), [problem])
    return result.stdout


def _hosts_of(group: str, document: Mapping[str, Any], seen: frozenset[str] = frozenset()) -> list[str]:
    if group in seen:
        return []
    entry = document.get(group, {})
    hosts = list(entry.get("hosts", []))
    for child in entry.get("children", []):
        hosts += _hosts_of(child, document, seen | {group})
    return list(dict.fromkeys(hosts))


def open_vault(text: str) -> str | None:
    """Decrypt a value that is vaulted inline, which ansible-inventory shows as it is; None when Ansible cannot."""
    command = [str(Path(sys.executable).parent / "ansible-vault"), "decrypt", "--output", "-"]
    environment = os.environ | {"ANSIBLE_CONFIG": str(repository() / "ansible.cfg")}
    try:
        result = subprocess.run(
            command, env=environment, input=text, capture_output=True, text=True, timeout=READ_WITHIN_S, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return result.stdout if result.returncode == 0 else None


def read_role_defaults() -> dict[str, Any]:
    """Defaults of every role of collection halab.stack, by variable name."""
    defaults: dict[str, Any] = {}
    roles = repository() / "collections/ansible_collections/halab/stack/roles"
    for path in sorted(roles.glob("*/defaults/main.yml")):
        defaults |= yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    return defaults


def read_secrets(state_dir: Path) -> dict[str, str] | None:
    """The store of generated secrets; None when there is none yet. Raises InventoryError when it cannot be read."""
    path = state_dir / "secrets.yml"
    try:
        return {str(name): str(value) for name, value in (yaml.safe_load(path.read_text("utf-8")) or {}).items()}
    except FileNotFoundError:
        return None
    except (OSError, yaml.YAMLError, AttributeError) as error:
        # The text of a parser's error quotes the file, which holds secrets.
        reason = f"cannot be read ({type(error).__name__})"
        problem = Problem("secrets", str(path), reason, "Restore the file or its mode.")
        raise InventoryError(str(state_dir), [problem]) from None
