"""Pressure on a machine, seen by what the kernel says of its processes."""

from __future__ import annotations

from tests.faults.cases import Case

# A service that is always busy, and whose user is not root.
BUSY = "systemd-run --quiet --collect --unit=busy --uid=nobody python3 -c 'while True: pass'"
IDLE = "systemctl stop busy.service"
LIMIT = "awk '/^Max {}/ {{exit !($4 == {})}}' /proc/$(systemctl show -P MainPID busy.service)/limits"

CASES = [
    Case(
        name="pressure-connections",
        module="pressure",
        parameters={"kind": "connections", "address": "127.0.0.1", "port": 22, "count": 5},
        acting='[ "$(ss -Htn state established dst 127.0.0.1 dport = :22 | wc -l)" = 5 ]',
    ),
    Case(
        name="pressure-cpu-burn",
        module="pressure",
        parameters={"kind": "cpu_burn", "workers": 1, "percent": 20},
        acting="pgrep -f '[p]ressure-burn '",
    ),
    Case(
        name="pressure-stopping",
        module="pressure",
        parameters={"kind": "cpu_quota", "method": "stopping", "unit": "busy.service", "percent": 10},
        # Three looks at different parts of the period of 0.1 s.
        acting="for pause in 0 0.03 0.05; do sleep $pause; ps -o stat= -C python3 -u nobody; done | grep -q ^T",
        prepare=BUSY,
        cleanup=IDLE,
    ),
    Case(
        name="pressure-memory-hog",
        module="pressure",
        parameters={"kind": "memory_hog", "bytes": 100_000_000},
        acting="ps -eo rss=,args= | awk '/[p]ressure-hold-memory / && $1 > 95000 {found = 1} END {exit !found}'",
    ),
    Case(
        name="pressure-io-hog",
        module="pressure",
        parameters={"kind": "io_hog", "path": "/srv/data", "bytes": 4_000_000},
        acting="pgrep -f '[p]ressure-write '",
    ),
    Case(
        name="pressure-files",
        module="pressure",
        parameters={"kind": "files", "unit": "busy.service"},
        acting=LIMIT.format("open files", 3),
        prepare=BUSY,
        cleanup=IDLE,
    ),
    Case(
        name="pressure-pids",
        module="pressure",
        parameters={"kind": "pids", "method": "rlimit", "unit": "busy.service"},
        acting=LIMIT.format("processes", 0).replace("$4", "$3"),
        prepare=BUSY,
        cleanup=IDLE,
    ),
]
