"""What an idle node costs: memory and processor time of all its processes. Runs on the node, standard library only.

Memory is the proportional set size (smaps_rollup in proc(5)): shared pages are counted once in all, where the sum of
resident sizes counts PostgreSQL's shared buffers once for each backend.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def processes() -> list[Path]:
    return [entry for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def memory_kib() -> int:
    total = 0
    for process in processes():
        try:
            lines = (process / "smaps_rollup").read_text().splitlines()
        except OSError:
            continue  # ended meanwhile, or a kernel thread
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total


def cpu_s() -> dict[str, float]:
    used = {}
    for process in processes():
        try:
            stat = (process / "stat").read_text()
        except OSError:
            continue
        name, fields = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :].split()
        used[f"{process.name} {name}"] = (int(fields[11]) + int(fields[12])) / TICKS
    return used


def main() -> None:
    window_s = float(sys.argv[1])
    before = cpu_s()
    time.sleep(window_s)  # the measuring window itself
    after = cpu_s()
    spent = {key: after[key] - before.get(key, 0.0) for key in after}
    busiest = max(spent, key=lambda key: spent[key])
    report = {
        "memory_mib": round(memory_kib() / 1024, 1),
        "cpu_percent": round(100 * sum(spent.values()) / window_s, 2),
        "busiest": busiest.split(" ", 1)[1],
    }
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main()
