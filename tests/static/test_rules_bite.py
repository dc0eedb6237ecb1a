"""Each rule finds the defect it is there for, planted in a copy of the tree."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.static import rules_plugins, rules_roles, rules_tree
from tests.static.project import COLLECTIONS, ROOT, files, tool

ROLE = COLLECTIONS / "lab/roles/nodes"
MODULE = COLLECTIONS / "lab/plugins/modules/machines.py"
REGISTRY = "pypi" + ".org"
CHECKOUT = "/work" + "/main"
KEY_BLOCK = "-----BEGIN OPENSSH PRIVATE " + "KEY-----\n" + "b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAA\n"


@dataclass(frozen=True, slots=True)
class Defect:
    """A change of one file and what the rule must say about it."""

    rule: Callable[[Path], list[str]]
    path: Path | str
    said: str
    append: str = ""
    replace: tuple[str, str] = ("", "")

    def plant(self, root: Path) -> None:
        """Make the change; it must be one."""
        path = root / self.path
        before = path.read_text("utf-8") if path.exists() else ""
        after = before.replace(*self.replace) + self.append if self.replace[0] else before + self.append
        assert after != before, f"{self.path} holds nothing to replace"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(after, "utf-8")


DEFECTS = [
    Defect(rules_roles.specs_equal_defaults, ROLE / "defaults/main.yml", "nodes_more is in defaults/main.yml only",
           append="nodes_more: 1\n"),
    Defect(rules_roles.specs_equal_defaults, ROLE / "defaults/main.yml", "nodes_within is 61 in defaults",
           replace=("nodes_within: 60", "nodes_within: 61")),
    Defect(rules_roles.specs_equal_defaults, ROLE / "defaults/main.yml", "nodes_within is '60' in defaults",
           replace=("nodes_within: 60", 'nodes_within: "60"')),
    Defect(rules_roles.specs_equal_defaults, ROLE / "defaults/main.yml",
           "nodes_within has a default in argument_specs and none",
           replace=("nodes_within: 60\n", "")),
    Defect(rules_roles.defaults_are_accepted, COLLECTIONS / "stack/roles/patroni/meta/argument_specs.yml",
           "default of patroni_repository: missing required arguments: url",
           replace=("Apt).\n            type: str", "Apt).\n            required: true")),
    Defect(rules_roles.task_files_are_short, ROLE / "tasks/main.yml", "tasks/main.yml: ", append="# more\n" * 41),
    Defect(rules_roles.roles_do_not_know_the_inventory, ROLE / "tasks/more.yml", "groups[ reads the inventory",
           append="- ansible.builtin.debug:\n    msg: \"{{ groups['etcd'] }}\"\n"),
    Defect(rules_roles.roles_do_not_know_the_inventory, ROLE / "templates/more.j2", "hostvars reads the inventory",
           append="{{ hostvars }}\n"),
    Defect(rules_roles.facts_are_not_injected, ROLE / "tasks/more.yml", "ansible_os_family is an injected fact",
           append="- ansible.builtin.debug:\n  when: ansible_os_family == 'Debian'\n"),
    Defect(rules_roles.only_own_collections, ROLE / "tasks/more.yml", "ansible.posix.sysctl is of a collection",
           append="- ansible.posix.sysctl:\n    name: a\n"),
    Defect(rules_roles.templates_say_who_wrote_them, ROLE / "templates/more.conf.j2", "more.conf.j2: does not start",
           append="listen 1\n"),
    Defect(rules_roles.templates_order_their_sets, ROLE / "templates/more.conf.j2", "sort what difference",
           append="{% for one in all | difference(mine) %}\n"),
    Defect(rules_plugins.are_documented, MODULE, "machines (module): no EXAMPLES",
           replace=("EXAMPLES = ", "SAMPLES = ")),
    Defect(rules_plugins.are_documented, MODULE, "machines (module): no licence line",
           replace=("# GNU General", "# General")),
    Defect(rules_plugins.state_check_mode, MODULE, "machines: supports_check_mode=True is missing",
           replace=("supports_check_mode=True", "supports_check_mode=False")),
    Defect(rules_plugins.render, MODULE, "machines: its documentation has no attribute check_mode",
           replace=("  check_mode:\n", "  other_mode:\n")),
    Defect(rules_plugins.actions_have_modules, COLLECTIONS / "lab/plugins/action/lonely.py",
           "lonely: an action without",
           append='"""Lonely."""\n'),
    Defect(rules_tree.names_no_machine_and_no_registry, "docs/more.md", f"docs/more.md:1: {REGISTRY}",
           append=f"See {REGISTRY}.\n"),
    Defect(rules_tree.names_no_machine_and_no_registry, "src/halab/more.py", "more.py:1: /",
           append=f'PATH = "{CHECKOUT}"\n'),
    Defect(rules_tree.holds_no_secrets, "inventories/lab/group_vars/all.yml", "etcd_root_password has a literal value",
           append="etcd_root_password: hunter2\n"),
    Defect(rules_tree.holds_no_secrets, "docs/more.md", "docs/more.md: a private key", append=KEY_BLOCK),
    Defect(rules_tree.python_files_are_short, "src/halab/more.py", "more.py: 401 lines", append="A = 1\n" * 401),
    Defect(rules_tree.versions_are_pinned, "constraints.txt", "is outside <9,>=6", replace=("redis==", "redis==99.")),
    Defect(rules_tree.versions_are_pinned, "constraints.txt", "rich is missing", replace=("rich==", "other==")),
    Defect(rules_tree.versions_are_pinned, "constraints.txt", "pytest-ansible must not",
           append="pytest-ansible==26.10.0\n"),
    Defect(rules_tree.imports_are_required, "src/halab/more.py", "pandas is imported and not",
           append="import pandas\n"),
    Defect(rules_tree.imports_are_required, "pyproject.toml", "pandas is required and never",
           replace=('  "rich>', '  "pandas",\n  "rich>')),
    Defect(rules_tree.documents_name_what_exists, "docs/more.md", "make miracle is no target",
           append="`make miracle`\n"),
    Defect(rules_tree.documents_name_what_exists, "docs/more.md", "playbooks/gone.yml does not exist",
           append="playbooks/gone.yml\n"),
    Defect(rules_tree.documents_name_what_exists, "docs/more.md", "the link gone.md leads nowhere",
           append="[a](gone.md)\n"),
    Defect(rules_tree.what_must_be_there_is, COLLECTIONS / "stack/galaxy.yml", "halab/stack: no galaxy.yml",
           replace=("version:", "edition:")),
]  # fmt: skip


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the tree that is no git repository, in a folder with a space in its name."""
    root = tmp_path / "a copy"
    for path in files(ROOT):
        target = root / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, target)
    return root


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: f"{defect.rule.__name__}: {defect.said}")
def test_rule_finds(defect: Defect, copy: Path) -> None:
    before = defect.rule(copy)
    assert not any(defect.said in problem for problem in before)
    defect.plant(copy)
    after = defect.rule(copy)
    assert any(defect.said in problem for problem in after), after


def test_rule_finds_a_missing_document(copy: Path) -> None:
    (copy / "docs/architecture.md").unlink()
    assert "docs/architecture.md is missing" in rules_tree.what_must_be_there_is(copy)


def test_a_vaulted_password_is_no_literal(copy: Path) -> None:
    settings = copy / "inventories/lab/group_vars/all.yml"
    with settings.open("a") as stream:
        stream.write("etcd_root_password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n")
    assert not rules_tree.holds_no_secrets(copy)


@pytest.mark.parametrize(
    ("command", "path", "content", "said"),
    [
        (
            ("ansible-lint", "--offline", "-q"),
            ROLE / "tasks/more.yml",
            "---\n- name: Say\n  debug:\n    msg: a\n",
            "fqcn",
        ),
        (("yamllint", "--strict", "."), "inventories/lab/more.yml", "a: yes\n", "truthy"),
        (("ruff", "check", "."), "src/halab/more.py", "print(1)\n", "T201"),
        (("mypy",), "src/halab/more.py", "def f(a):\n    return a\n", "no-untyped-def"),
    ],
    ids=["ansible-lint", "yamllint", "ruff", "mypy"],
)
def test_tool_finds(command: tuple[str, ...], path: Path | str, content: str, said: str, copy: Path) -> None:
    (copy / path).write_text(content, "utf-8")
    done = tool(*command, root=copy)
    assert done.returncode != 0
    assert any(said in line for line in done.stdout.splitlines()), done.stdout + done.stderr
    assert "more" in done.stdout
