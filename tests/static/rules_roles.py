"""Rules of roles: what a caller may set is declared once, and a role knows nothing of the inventory around it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from tests.static.project import load, roles

MAIN_LINES = 40
PART_LINES = 80
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "str": (str,), "path": (str,), "int": (int,), "float": (int, float), "bool": (bool,), "list": (list,),
    "dict": (dict,), "raw": (object,),
}  # fmt: skip

# Groups of the inventory and other hosts' variables: a role that reads them cannot serve two clusters.
INVENTORY_KNOWLEDGE = re.compile(r"\bhostvars\b|\bgroup_names\b|\bgroups\s*[\[.]|\bin\s+groups\b")

# Variables of Ansible itself; everything else with its prefix is an injected fact, which ansible.cfg switches off.
MAGIC = (
    "become", "check_mode", "collection_name", "connection", "diff_mode", "facts", "failed_result", "failed_task",
    "host", "index_var", "inventory_sources", "limit", "loop", "loop_var", "managed", "parent_role_names", "play_batch",
    "play_hosts", "play_hosts_all", "play_name", "play_role_names", "playbook_python", "port", "python_interpreter",
    "role_name", "role_names", "run_tags", "search_path", "skip_tags", "ssh_common_args", "ssh_private_key_file",
    "user", "verbosity", "version",
)  # fmt: skip
FACT = re.compile(rf"(?<![\w.'\"/-])ansible_(?!(?:{'|'.join(MAGIC)}|collections)\b)[a-z]\w*")

# Only what comes with ansible-core and with this repository: nobody should need Galaxy.
COLLECTION = re.compile(
    r"(?<![\w./-])(?!ansible\.builtin\.)(ansible|community|containers|kubernetes)\.[a-z_]+\.[a-z_]+"
)


def _right_type(value: Any, kind: str) -> bool:
    if isinstance(value, str) and "{{" in value:
        return True
    if isinstance(value, bool) and kind != "bool":
        return kind == "raw"
    return isinstance(value, PYTHON_TYPES[kind])


def _entry_point(name: str, options: dict[str, Any], defaults: dict[str, Any]) -> list[str]:
    problems = []
    for option, spec in options.items():
        where = f"{name}: {option}"
        kind = spec.get("type", "str")
        if "description" not in spec:
            problems.append(f"{where} has no description")
        if "default" in spec:
            if option not in defaults:
                problems.append(f"{where} has a default in argument_specs and none in defaults/main.yml")
            elif repr(defaults[option]) != repr(spec["default"]):
                said = f"{defaults[option]!r} in defaults/main.yml, {spec['default']!r} in argument_specs"
                problems.append(f"{where} is {said}")
        elif option in defaults:
            problems.append(f"{where} has a default in defaults/main.yml and none in argument_specs")
        elif not spec.get("required"):
            problems.append(f"{where} is neither required nor has a default")
        if kind == "list" and "elements" not in spec:
            problems.append(f"{where} is a list without elements")
        if option in defaults and not _right_type(defaults[option], kind):
            problems.append(f"{where} is declared {kind}, its default {defaults[option]!r} is not")
    return problems


def specs_equal_defaults(root: Path) -> list[str]:
    """Keys, types and values of `defaults/main.yml` and `meta/argument_specs.yml` are the same."""
    problems = []
    for role in roles(root):
        specs = (load(role / "meta/argument_specs.yml") or {}).get("argument_specs", {})
        defaults = load(role / "defaults/main.yml") or {}
        if "main" not in specs:
            problems.append(f"{role.name}: meta/argument_specs.yml has no entry point main")
            continue
        for entry, spec in specs.items():
            problems += _entry_point(f"{role.name} ({entry})", spec.get("options") or {}, defaults)
        declared = {option for spec in specs.values() for option in spec.get("options") or {}}
        problems += [f"{role.name}: {name} is in defaults/main.yml only" for name in sorted(defaults.keys() - declared)]
    return problems


def defaults_are_accepted(root: Path) -> list[str]:
    """What a caller leaves out passes the check that Ansible makes of it, suboptions included."""
    problems = []
    for role in roles(root):
        for entry, spec in (load(role / "meta/argument_specs.yml") or {}).get("argument_specs", {}).items():
            for option, declared in (spec.get("options") or {}).items():
                default = declared.get("default")
                if default is None or "{{" in repr(default):
                    continue
                checked = ArgumentSpecValidator({option: declared}).validate({option: default})
                problems += [f"{role.name} ({entry}): default of {option}: {said}" for said in checked.error_messages]
    return problems


def task_files_are_short(root: Path) -> list[str]:
    """`main.yml` is a table of contents, its parts are one concern each."""
    problems = []
    for role in roles(root):
        for path in sorted((role / "tasks").rglob("*.yml")):
            limit = MAIN_LINES if path.name == "main.yml" else PART_LINES
            lines = len(path.read_text("utf-8").splitlines())
            if lines > limit:
                problems.append(f"{path.relative_to(root)}: {lines} lines, at most {limit}")
    return problems


def _search(root: Path, folders: list[Path], pattern: re.Pattern[str], what: str) -> list[str]:
    problems = []
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix not in {".yml", ".j2"}:
                continue
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                found = pattern.search(line.split(" # ")[0])
                if found and not line.lstrip().startswith("#"):
                    problems.append(f"{path.relative_to(root)}:{number}: {found.group(0)} {what}")
    return problems


def roles_do_not_know_the_inventory(root: Path) -> list[str]:
    """No group names and no variables of other hosts inside roles."""
    return _search(root, roles(root), INVENTORY_KNOWLEDGE, "reads the inventory; take a parameter instead")


def facts_are_not_injected(root: Path) -> list[str]:
    """Facts are read as `ansible_facts['name']`."""
    return _search(root, [*roles(root), root / "playbooks"], FACT, "is an injected fact; use ansible_facts['...']")


def only_own_collections(root: Path) -> list[str]:
    """Nothing of a collection that does not come with ansible-core or this repository."""
    return _search(
        root, [*roles(root), root / "playbooks"], COLLECTION, "is of a collection that set-up does not install"
    )


def templates_say_who_wrote_them(root: Path) -> list[str]:
    """A template starts with the managed line, or says why its format has no place for one."""
    problems = []
    for role in roles(root):
        for path in sorted((role / "templates").rglob("*.j2")):
            if path.name.endswith(".json.j2"):
                continue
            head = path.read_text("utf-8").splitlines()[:2]
            if not any("{{ ansible_managed | comment" in line or "{# No managed line: " in line for line in head):
                wanted = "{{ ansible_managed | comment }} or {# No managed line: the reason #}"
                problems.append(f"{path.relative_to(root)}: does not start with {wanted}")
    return problems


def templates_order_their_sets(root: Path) -> list[str]:
    """A set has another order in every run: a template that prints one unsorted changes its file at random."""
    unsorted = re.compile(r"\|\s*(difference|intersect|union|symmetric_difference)\b(?!.*\|\s*(sort|length)\b)")
    return [
        f"{path.relative_to(root)}:{number}: sort what {found[1]} gives"
        for role in roles(root)
        for path in sorted((role / "templates").rglob("*.j2"))
        for number, line in enumerate(path.read_text("utf-8").splitlines(), 1)
        if (found := unsorted.search(line))
    ]
