"""Processes of a unit of the case's own: the main one is a shell that has two children and replaces them."""

from __future__ import annotations

from tests.faults.cases import Case
from tests.faults.support.units import made, removed

FAMILY = "while :; do sleep 7771 & sleep 7772; done"
PREPARE = made("process-victim", f"/bin/bash -c '{FAMILY}'", Restart="no")
LOOPING = made("process-victim", "/bin/sleep 7773", Restart="always", RestartSec="200ms", StartLimitIntervalSec="0")
CLEANUP = removed("process-victim")

CASES = [
    Case(
        name="process-stop",
        module="process",
        parameters={"kind": "stop", "unit": "process-victim", "which": "all"},
        prepare=PREPARE,
        cleanup=CLEANUP,
        acting="ps -o stat= -p $(systemctl show -P MainPID process-victim) | grep ^T && "
        "ps -o stat=,args= -C sleep | grep '^T.*777[12]'",
    ),
    Case(
        name="process-stop-match",
        module="process",
        parameters={"kind": "stop", "match": "sleep 777[12]$", "count": 1},
        prepare=PREPARE,
        cleanup=CLEANUP,
        acting="[ $(ps -o stat=,args= -C sleep | grep -c '^T.*777[12]') = 1 ]",
    ),
    Case(
        name="process-kill",
        module="process",
        parameters={"kind": "kill", "unit": "process-victim"},
        prepare=PREPARE,
        cleanup=CLEANUP,
        acting="! systemctl is-active --quiet process-victim && ! pgrep -f 'sleep 777[12]'",
    ),
    Case(
        name="process-terminate",
        module="process",
        parameters={"kind": "terminate", "name": "bash", "match": "sleep 7771 & sleep 7772"},
        prepare=PREPARE,
        cleanup=CLEANUP,
        acting="! systemctl is-active --quiet process-victim",
    ),
    Case(
        name="process-crash-loop",
        module="process",
        parameters={"kind": "crash_loop", "unit": "process-victim"},
        prepare=LOOPING,
        cleanup=CLEANUP,
        acting="before=$(systemctl show -P NRestarts process-victim); sleep 1; "
        '[ "$before" != "$(systemctl show -P NRestarts process-victim)" ]',
    ),
]
