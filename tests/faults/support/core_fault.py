"""Runs on a node: carries out a fault of bare commands with the collection's core, so that the core is tested alone.

Arguments: the folder that holds the collection, and the plan as JSON. A command that begins with `@agent` is one of the
core's own.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

LEDGER = Path("/var/lib/halab/ledger")


def main() -> int:
    """Print the result as JSON, or say what failed and end with code 1."""
    sys.path.insert(0, sys.argv[1])
    from ansible_collections.halab.faults.plugins.module_utils.agent import Agent
    from ansible_collections.halab.faults.plugins.module_utils.ledger import Ledger
    from ansible_collections.halab.faults.plugins.module_utils.lifecycle import FaultError, Plan, heal_one, inject
    from ansible_collections.halab.faults.plugins.module_utils.probes import output

    asked = json.loads(sys.argv[2])
    ledger = Ledger(LEDGER)

    def argv(words: list[str]) -> tuple[str, ...]:
        return Agent(LEDGER).argv(*words[1:]) if words[0] == "@agent" else tuple(words)

    def probe(expected: str) -> Any:
        return output(argv(asked["look"]), expected)

    try:
        if "inject" not in asked:
            result = heal_one(ledger, asked["id"])
        else:
            plan = Plan(
                id=asked["id"],
                fault="core",
                target=asked["id"],
                ttl_s=asked["ttl"],
                inject=(argv(asked["inject"]),),
                undo=(argv(asked["undo"]),),
                observed=(probe(asked["acting"]),),
                gone=(probe(asked["gone"]),),
                observed_within_s=2.0,
                gone_within_s=2.0,
                outlives_boot=asked["outlives_boot"],
            )
            result = inject(plan, ledger)
    except FaultError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(result))
    return 0


sys.exit(main())
