"""Rules of modules and other plugins: documented, and honest about check mode."""

from __future__ import annotations

import ast
import json
from pathlib import Path

from tests.static.project import plugins, tool

LICENCE = "# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)"
PARTS = {"module": ("DOCUMENTATION", "EXAMPLES", "RETURN"), "lookup": ("DOCUMENTATION", "EXAMPLES", "RETURN"),
         "filter": ("DOCUMENTATION", "EXAMPLES", "RETURN"), "inventory": ("DOCUMENTATION", "EXAMPLES")}  # fmt: skip
FOLDER = {"module": "modules"}


def _assigned(tree: ast.Module) -> set[str]:
    return {
        target.id
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _supports_check_mode(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.keyword)
        and node.arg == "supports_check_mode"
        and isinstance(node.value, ast.Constant)
        and node.value.value is True
        for node in ast.walk(tree)
    )


def are_documented(root: Path) -> list[str]:
    """Documentation, examples and return values stand in the file; the licence at its top."""
    problems = []
    for kind, parts in PARTS.items():
        for name, path in plugins(root, FOLDER.get(kind, kind)).items():
            source = path.read_text("utf-8")
            # Filters and tests may keep their documentation in YAML beside the code, one file for each name.
            assigned = _assigned(ast.parse(source))
            beside = path.with_suffix(".yml")
            text = beside.read_text("utf-8") if beside.exists() else ""
            problems += [
                f"{name} ({kind}): no {part}" for part in parts if part not in assigned and f"{part}:" not in text
            ]
            if LICENCE not in source.splitlines()[:3]:
                problems.append(f"{name} ({kind}): no licence line at the top")
    return problems


def state_check_mode(root: Path) -> list[str]:
    """A module runs in check mode, and its documentation has the attribute."""
    problems = []
    for name, path in plugins(root, "modules").items():
        tree = ast.parse(path.read_text("utf-8"))
        has_action = (path.parents[1] / "action" / path.name).exists()
        if not _supports_check_mode(tree) and not has_action:
            problems.append(f"{name}: supports_check_mode=True is missing")
    return problems


def _documented_names(root: Path, kind: str) -> list[str]:
    names = plugins(root, FOLDER.get(kind, kind))
    if kind != "filter":
        return list(names)
    pages = {page for path in names.values() for page in path.parent.glob("*.yml")}
    return sorted(f"halab.{page.parents[2].name}.{page.stem}" for page in pages)


def render(root: Path) -> list[str]:
    """`ansible-doc` shows every plugin and role, with all that the attributes promise."""
    problems = []
    for kind in PARTS:
        names = _documented_names(root, kind)
        if not names:
            continue
        done = tool("ansible-doc", "--json", "-t", kind, *names, root=root)
        if done.returncode != 0:
            problems.append(f"ansible-doc -t {kind}: {done.stderr.strip()}")
            continue
        shown = json.loads(done.stdout)
        for name in names:
            if name not in shown:
                problems.append(f"ansible-doc -t {kind} {name}: shows nothing. {done.stderr.strip()[:300]}")
            elif kind == "module" and "check_mode" not in (shown[name]["doc"].get("attributes") or {}):
                problems.append(f"{name}: its documentation has no attribute check_mode")
    return problems


def actions_have_modules(root: Path) -> list[str]:
    """An action plugin is documented by the module of its name."""
    undocumented = plugins(root, "action").keys() - plugins(root, "modules").keys()
    return [f"{name}: an action without a module to document it" for name in sorted(undocumented)]
