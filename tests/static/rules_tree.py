"""Rules of the whole tree: nothing in it belongs to one machine, and what the documents say exists."""

from __future__ import annotations

import ast
import os
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from tests.static.project import files, load, texts

PYTHON_LINES = 400
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs")

# This file is searched too; escaped dots and brackets keep the patterns from finding themselves.
PRIVATE = [
    re.compile(pattern)
    for pattern in (
        r"(?<![\w.~}>)-])/w[o]rk/",
        r"/tmp/v\d",
        r"/r[o]ot/\.pyenv",
        r"/opt/(pypi|wheels)",
        r"(files\.)?pythonhosted\.org",
        r"\bpypi\.org",
        r"\bregistry\.(npmjs|yarnpkg)\.",
        r"\b(deb|security)\.debian\.org",
        r"\b(archive|ports|security)\.ubuntu\.com",
        r"\bapt\.postgresql\.org(?!\.asc)",  # followed by .asc: the file of its key in a package of Debian
        r"\bgalaxy\.ansible\.com",
        r"\b(docker|quay|ghcr)\.io/",
        r"\bproxy\.golang\.org",
    )
]
KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----\s*\n[A-Za-z0-9+/=]{40}")
TOKEN = re.compile(r"\b(ghp_[A-Za-z0-9]{36}|AKIA[0-9A-Z]{16}|xox[bp]-[0-9A-Za-z-]{20,})\b")
SECRET_NAME = re.compile(r"(^|_)(password|passphrase|secret|token)$")


def names_no_machine_and_no_registry(root: Path) -> list[str]:
    """No path of a developer's machine, no host of a registry."""
    return [
        f"{path}:{number}: {found.group(0)}"
        for path, text in texts(root)
        for number, line in enumerate(text.splitlines(), 1)
        for pattern in PRIVATE
        if (found := pattern.search(line))
    ]


def _literal_secrets(path: Path, value: Any) -> list[str]:
    if isinstance(value, list):
        return [problem for item in value for problem in _literal_secrets(path, item)]
    if not isinstance(value, dict):
        return []
    problems = []
    for key, item in value.items():
        if SECRET_NAME.search(str(key)) and isinstance(item, str) and item and "{{" not in item:
            problems.append(f"{path}: {key} has a literal value")
        problems += _literal_secrets(path, item)
    return problems


class _Vault(yaml.SafeLoader):
    """Reads YAML with Ansible's tags: what is encrypted is no literal."""


_Vault.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


def holds_no_secrets(root: Path) -> list[str]:
    """No private key, no token, no password with a value in an inventory or in a role's defaults."""
    problems = []
    for path, text in texts(root):
        problems += [f"{path}: a private key"] if KEY.search(text) else []
        problems += [f"{path}: {found.group(0)[:8]}... looks like a token" for found in TOKEN.finditer(text)]
        settings = path.parts[0] == "inventories" or path.parts[-2:-1] in (("defaults",), ("vars",))
        if settings and path.suffix in {".yml", ".yaml"}:
            problems += _literal_secrets(path, yaml.load(text, Loader=_Vault))  # noqa: S506  a SafeLoader with one more tag
    return problems


def python_files_are_short(root: Path) -> list[str]:
    """A Python file has one reason to change."""
    return [
        f"{path.relative_to(root)}: {lines} lines, at most {PYTHON_LINES}"
        for path in files(root)
        if path.suffix == ".py" and (lines := len(path.read_text("utf-8").splitlines())) > PYTHON_LINES
    ]


def _pins(root: Path) -> dict[str, str]:
    lines = (root / "constraints.txt").read_text("utf-8").splitlines()
    entries = [line for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(name): version for name, _, version in (entry.partition("==") for entry in entries)}


def versions_are_pinned(root: Path) -> list[str]:
    """Every requirement has an exact version in constraints.txt, inside the range of pyproject.toml."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = project["dependencies"] + [item for extra in project["optional-dependencies"].values() for item in extra]
    pins = _pins(root)
    problems = [f"constraints.txt: {name} has no exact version" for name, version in pins.items() if not version]
    for text in wanted:
        requirement = Requirement(text)
        version = pins.get(canonicalize_name(requirement.name))
        if version is None:
            problems.append(f"constraints.txt: {requirement.name} is missing")
        elif version not in requirement.specifier:
            problems.append(f"constraints.txt: {requirement.name} {version} is outside {requirement.specifier}")
    # It and pytest-testinfra register the same option: where a site has that one, pytest would not start at all.
    if "pytest-ansible" in pins or any(Requirement(text).name == "pytest-ansible" for text in wanted):
        problems.append("pytest-ansible must not be installed: pytest does not start beside pytest-testinfra")
    return problems


# Where the name to import is not the name to install.
MODULES = {"ansible-core": "ansible", "pyyaml": "yaml"}


def _imported(root: Path) -> set[str]:
    """First names of all absolute imports of what is delivered."""
    found = set()
    for path in files(root):
        if path.suffix != ".py" or path.relative_to(root).parts[0] not in ("src", "collections"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.split(".")[0])
    return found


def imports_are_required(root: Path) -> list[str]:
    """What is imported is a requirement, and what is required is imported."""
    project = tomllib.loads((root / "pyproject.toml").read_text("utf-8"))["project"]
    names = (canonicalize_name(Requirement(text).name) for text in project["dependencies"])
    required = {MODULES.get(name, name.replace("-", "_")) for name in names}
    # pytest is there whenever its plugin is loaded; apt comes with the nodes' own Python.
    known = required | set(sys.stdlib_module_names) | {"halab", "ansible_collections", "pytest", "apt", "apt_pkg"}
    imported = _imported(root)
    problems = [f"pyproject.toml: {name} is required and never imported" for name in sorted(required - imported)]
    return problems + [f"pyproject.toml: {name} is imported and not required" for name in sorted(imported - known)]


def _documents(root: Path) -> list[Path]:
    return [path for path in files(root) if path.suffix == ".md" and path.relative_to(root).parts[0] in DOCUMENTS]


def make_targets(root: Path) -> set[str]:
    """Targets of the Makefile."""
    rules = re.findall(r"^([a-z][a-z -]*):(?!=)", (root / "Makefile").read_text("utf-8"), re.MULTILINE)
    return {target for rule in rules for target in rule.split()}


def documents_name_what_exists(root: Path) -> list[str]:
    """Make targets, playbooks, scenarios and links that documents and workflows mention."""
    targets = make_targets(root)
    workflows = [root / ".ci/run", *(root / ".github/workflows").glob("*.yml")]
    problems = []
    for path in [*_documents(root), *workflows]:
        text, name = path.read_text("utf-8"), path.relative_to(root)
        commands = re.findall(r"(?:^\s*|`|exec |run: |sudo )make ([a-z][a-z-]*)", text, re.MULTILINE)
        problems += [f"{name}: make {target} is no target" for target in sorted(set(commands) - targets)]
        mentioned = set(re.findall(r"(?<![\w/])(?:playbooks|scripts|inventories|scenarios)/[\w/.-]*\w", text))
        problems += [f"{name}: {item} does not exist" for item in sorted(mentioned) if not (root / item).exists()]
        for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
            if not (path.parent / link).exists():
                problems.append(f"{name}: the link {link} leads nowhere")
    return problems


REQUIRED = (
    ".ci/run", ".github/workflows/ci.yml", "CONTRIBUTING.md", "LICENSE", "README.md", "docs/architecture.md",
    "docs/dependencies.md", "docs/real-clusters.md", "docs/security.md", "docs/troubleshooting.md", "scripts/bootstrap",
)  # fmt: skip
EXECUTABLE = (".ci/run", "scripts/bootstrap", "scripts/test")


def what_must_be_there_is(root: Path) -> list[str]:
    """Documents and doors that people look for."""
    problems = [f"{name} is missing" for name in REQUIRED if not (root / name).is_file()]
    problems += [f"{name} is not executable" for name in EXECUTABLE if not os.access(root / name, os.X_OK)]
    for path in (root / "collections").glob("ansible_collections/halab/*"):
        if path.is_dir() and not (load(path / "galaxy.yml") or {}).get("version"):
            problems.append(f"{path.relative_to(root)}: no galaxy.yml with a version")
    return problems
