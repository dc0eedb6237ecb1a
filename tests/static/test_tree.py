"""The tree keeps the rules of the tree."""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.static import rules_tree
from tests.static.project import ROOT, report

RULES = [
    rules_tree.names_no_machine_and_no_registry,
    rules_tree.holds_no_secrets,
    rules_tree.python_files_are_short,
    rules_tree.versions_are_pinned,
    rules_tree.imports_are_required,
    rules_tree.documents_name_what_exists,
    rules_tree.what_must_be_there_is,
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Callable[[Path], list[str]]) -> None:
    problems = rule(ROOT)
    assert not problems, report(problems)


def test_pytest_ansible_is_not_installed() -> None:
    names = {distribution.name.lower() for distribution in importlib.metadata.distributions()}
    assert "pytest-ansible" not in names


def test_documents_name_only_commands_of_the_command_line() -> None:
    from halab.cli import main

    known = set(getattr(main, "commands", {}))
    assert known, "halab.cli:main is not a click group"
    for document in (
        *("README.md", "CONTRIBUTING.md", "docs/troubleshooting.md", "docs/real-clusters.md"),
        *("Makefile", "scripts/test"),
    ):
        text = (ROOT / document).read_text("utf-8")
        named = set(re.findall(r"(?:^|`|bin/)halab ([a-z]+)", text, re.MULTILINE))
        assert named <= known, f"{document}: not commands of halab: {sorted(named - known)}; there are {sorted(known)}"
