"""Every plugin keeps the rules of plugins."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.static import rules_plugins
from tests.static.project import ROOT, plugins, report, roles, tool

RULES = [
    rules_plugins.are_documented,
    rules_plugins.state_check_mode,
    rules_plugins.render,
    rules_plugins.actions_have_modules,
]


def test_there_are_modules() -> None:
    assert len(plugins(ROOT, "modules")) >= 8


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Callable[[Path], list[str]]) -> None:
    problems = rule(ROOT)
    assert not problems, report(problems)


def test_ansible_doc_shows_every_role() -> None:
    names = [f"halab.{role.parents[1].name}.{role.name}" for role in roles(ROOT)]
    done = tool("ansible-doc", "-t", "role", *names)
    assert done.returncode == 0, done.stderr
    missing = [name for name in names if name not in done.stdout]
    assert not missing, f"not shown: {missing}\n{done.stderr}"
