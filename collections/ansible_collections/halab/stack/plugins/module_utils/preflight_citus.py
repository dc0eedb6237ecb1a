# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether Citus is wanted and its package is to be had. Looks at files and at one repository, changes nothing."""

from __future__ import annotations

import typing as t
from collections.abc import Mapping

from ansible_collections.halab.stack.plugins.module_utils.citus_package import (
    CitusPackageError,
    Wanted,
    find,
    why_unreachable,
)
from ansible_collections.halab.stack.plugins.module_utils.preflight import Description, group_of
from ansible_collections.halab.stack.plugins.module_utils.timing import Problem

CHOICES: t.Final = ("auto", "required", "absent")
SETTINGS: t.Final = (
    "citus",
    "citus_version",
    "citus_package_file",
    "citus_package_dir",
    "citus_repository_url",
    "citus_repository_suite",
    "citus_repository_key_sha256",
)


def check(description: Description) -> tuple[list[Problem], list[str], list[str]]:
    """Return what is wrong, what is good to know, and what the cluster goes on without."""
    hosts = description.members("patroni")
    if not hosts:
        return [], [], []
    variables = hosts[0].variables
    groups = any(group_of(host) for host in hosts)
    choice = str(variables.get("citus") or ("required" if groups else "absent"))
    if choice not in CHOICES:
        return [Problem("citus", choice, f"choose one of {', '.join(CHOICES)}")], [], []
    if groups and choice != "required":
        fix = "set it to required: servers with a patroni_group do not start without Citus"
        return [Problem("citus", choice, fix)], [], []
    if choice == "absent":
        return [], [], []
    where, missing = source(variables)
    if choice == "auto":
        reason = missing.in_words if missing else f"{where} is there, but no host has a patroni_group"
        return [], [], [f"citus: auto: {reason}; the cluster goes on without Citus, which is not tested"]
    return ([missing.problem], [], []) if missing else ([], [f"citus: {where}"], [])


class Missing(t.NamedTuple):
    """Why there is no package: as a problem of the inventory, and in words."""

    problem: Problem
    in_words: str


def source(variables: Mapping[str, t.Any]) -> tuple[str, Missing | None]:
    """Return where the package comes from, or why it is not to be had."""
    text = {key: str(variables.get(key) or "") for key in (*SETTINGS, "patroni_postgresql_version")}
    wanted = Wanted(
        text["citus_version"],
        text["patroni_postgresql_version"] or "17",
        text["citus_package_file"],
        text["citus_package_dir"],
    )
    try:
        found = find(wanted)
    except CitusPackageError as error:
        key, _, rest = str(error).partition(" = ")
        value, _, fix = rest.partition(": ")
        return "", Missing(Problem(key, value, fix), str(error))
    if found is not None:
        return found.name, None
    folder = text["citus_package_dir"] or "no folder"
    unreachable = _repository(text)
    if not unreachable:
        return f"{wanted.name} of {text['citus_repository_url']}", None
    said = f"no {wanted.name}_*.deb in citus_package_dir ({folder}), and {unreachable}"
    fix = f"there is {said}; put a package there, name one by citus_package_file, or mend the repository's parameters"
    return "", Missing(Problem("citus", "required", fix), said)


def _repository(text: Mapping[str, str]) -> str:
    """Return why upstream's repository cannot be used, empty when it can."""
    if not text["citus_repository_url"]:
        return "citus_repository_url is empty"
    if not text["citus_repository_key_sha256"]:
        return "citus_repository_key_sha256, the pin of upstream's repository, is empty"
    return why_unreachable(text["citus_repository_url"], text["citus_repository_suite"])
