"""What run.json says of the plan: enough to judge and to repeat the run elsewhere, and no secret."""

from __future__ import annotations

import importlib
import platform
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import halab
from halab import scenario as scenarios
from halab.driver.prepare import Prepared
from halab.errors import HalabError


def describe(ready: Prepared) -> dict[str, Any]:
    """The plan's part of run.json. Raises HalabError for timing that has no meaning."""
    cluster, where = ready.cluster, ready.site
    overrides: Mapping[str, Any] = next(
        (host["ha_timing_overrides"] for host in where.variables.values() if "ha_timing_overrides" in host), {}
    )
    return {
        "scenario": scenarios.as_data(ready.scenario),
        "inventory": str(where.inventory),
        "cluster": cluster.public(),
        "ha_profile": cluster.ha_profile,
        "timing": _timing(where.plays.root, cluster.ha_profile, overrides),
        "synchronous_mode": cluster.patroni.synchronous_mode,
        "versions": {
            "postgresql": cluster.patroni.postgresql_version,
            "ansible-core": metadata.version("ansible-core"),
            "python": platform.python_version(),
            "controller": f"{platform.system()} {platform.release()}",
        },
        "settings": {"seed": ready.seed},
        "command": ready.command,
        "halab_version": halab.__version__,
    }


def _timing(root: Path, profile: str, overrides: Mapping[str, Any]) -> dict[str, int]:
    """The timers in force, from the one table that the roles use too."""
    collections = str(root / "collections")
    if collections not in sys.path:
        sys.path.append(collections)
    table = importlib.import_module("ansible_collections.halab.stack.plugins.module_utils.timing")
    timing, problems = table.resolve(profile, overrides)
    if timing is None:
        raise HalabError("; ".join(str(problem) for problem in problems))
    timers: dict[str, int] = timing.as_dict()
    return timers
