"""Which scenarios a change concerns, by the paths that it touches: a table, and what scenarios say they stand on."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SHARED = "shared"
ALL = ".*"
NONE = "(?!)"

STACK = "(certs|node|etcd|patroni|haproxy|redis|citus)"
"""Components whose plugins begin with their names: etcd_info belongs to etcd, and to what stands on etcd."""

RULES: tuple[tuple[str, str], ...] = (
    (r"molecule/shared/.*", ALL),
    (r"molecule/(?P<name>[^/]+)/.*", r"scenario \g<name>"),
    (r"tests/molecule/verify/(?P<name>[^/]+)/.*", r"scenario \g<name>"),
    (r"tests/molecule/.*", ALL),
    (r"tests/faults/support/.*", "scenario faults"),
    (r"collections/.*/stack/roles/(?P<name>[^/]+)/.*", r"role \g<name>"),
    (rf"collections/.*/stack/plugins/[^/]+/(?P<name>{STACK})\w*\.(py|yml)", r"role \g<name>"),
    (r"collections/.*/stack/plugins/[^/]+/(certificates|pki)\.py", "role certs"),
    (r"collections/.*\.md", NONE),
    (r"collections/.*", ALL),
    (r"playbooks/(create|destroy|heal)\.yml|playbooks/(vars|faults)/.*", ALL),
    (r"src/halab/(clients|inventory)/.*|src/halab/(errors|waiting)\.py", ALL),
    (r"ansible\.cfg|constraints\.txt|pyproject\.toml|scripts/bootstrap", ALL),
)
"""Patterns of whole paths, the first that fits counts, and of the scenarios and roles that are concerned. What fits
none (documents, other tests, drills) concerns nothing."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A folder of molecule/. `own` says that it makes machines of its own instead of using those of all."""

    name: str
    role: str
    needs: tuple[str, ...]
    own: bool

    @property
    def stands_on(self) -> tuple[str, ...]:
        """Scenario and roles whose change concerns it."""
        return (f"scenario {self.name}", *(f"role {role}" for role in (self.role, *self.needs)))


def scenarios(root: Path = ROOT) -> list[Scenario]:
    """All scenarios, in the order of what they stand on: what is broken below shows where it is."""
    found = []
    for path in (root / "molecule").glob("*/molecule.yml"):
        if path.parent.name == SHARED:
            continue
        variables = yaml.safe_load((path.parent / "vars.yml").read_text("utf-8"))
        role = variables.get("scenario_role", "")
        # A part of a role, as citus:install, counts as the role.
        needs = [need.partition(":")[0] for need in variables.get("scenario_needs", ())]
        needs = tuple(need for need in needs if need != role)
        found.append(Scenario(path.parent.name, role, needs, own=(path.parent / "inventory").is_dir()))
    return sorted(found, key=lambda one: (not one.role, len(one.needs), one.name))


def concerned(paths: Iterable[str], among: Iterable[Scenario]) -> list[Scenario]:
    """The scenarios that a change of these paths (relative to the root) concerns."""
    patterns = [re.compile(pattern) for path in paths if (pattern := _names(path)) is not None]
    return [one for one in among if any(p.fullmatch(name) for p in patterns for name in one.stands_on)]


def changed_since(reference: str, root: Path = ROOT) -> list[str]:
    """Paths that differ from a commit, those that git does not know yet among them. Raises CalledProcessError."""
    asked = (["diff", "--name-only", "-z", reference], ["ls-files", "-z", "--others", "--exclude-standard"])
    told = [
        subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True).stdout
        for words in asked
    ]
    return sorted({path for text in told for path in text.split("\0") if path})


def _names(path: str) -> str | None:
    for pattern, names in RULES:
        found = re.fullmatch(pattern, path)
        if found:
            return found.expand(names)
    return None
