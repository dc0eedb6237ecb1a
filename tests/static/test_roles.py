"""Every role keeps the rules of roles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.static import rules_roles
from tests.static.project import ROOT, report, roles

RULES = [
    rules_roles.specs_equal_defaults,
    rules_roles.defaults_are_accepted,
    rules_roles.task_files_are_short,
    rules_roles.roles_do_not_know_the_inventory,
    rules_roles.facts_are_not_injected,
    rules_roles.only_own_collections,
    rules_roles.templates_order_their_sets,
    rules_roles.templates_say_who_wrote_them,
]


def test_there_are_roles() -> None:
    wanted = {"image", "nodes", "node", "certs", "etcd", "patroni", "haproxy", "redis"}
    assert wanted <= {role.name for role in roles(ROOT)}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule(rule: Callable[[Path], list[str]]) -> None:
    problems = rule(ROOT)
    assert not problems, report(problems)
