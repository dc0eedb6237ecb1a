"""Services of the case's own; the one to be masked has its file where a distribution keeps it."""

from __future__ import annotations

from tests.faults.cases import Case
from tests.faults.support.units import DISTRIBUTION, made, removed

PREPARE = made("service-victim", "/bin/sleep 7781", folder=DISTRIBUTION)
CLEANUP = removed("service-victim", folder=DISTRIBUTION)

CASES = [
    Case(
        name="service-stop",
        module="service",
        parameters={"kind": "stop", "unit": "service-victim"},
        prepare=PREPARE,
        cleanup=CLEANUP,
        acting="! pgrep -f 'sleep 7781$'",
    ),
    Case(
        name="service-mask",
        module="service",
        parameters={"kind": "mask", "unit": "service-victim"},
        prepare=PREPARE,
        cleanup=CLEANUP,
        acting="! pgrep -f 'sleep 7781$' && ! systemctl start service-victim",
    ),
    Case(
        name="service-slow-start",
        module="service",
        parameters={"kind": "slow_start", "unit": "service-victim", "seconds": 3},
        prepare=PREPARE,
        cleanup=CLEANUP,
        acting="began=$(date +%s%3N); systemctl restart service-victim; [ $(($(date +%s%3N) - began)) -ge 2900 ]",
    ),
    Case(
        name="service-slow-restart",
        module="service",
        parameters={"kind": "slow_start", "unit": "service-victim", "seconds": 60, "restart": True},
        prepare=PREPARE,
        cleanup=CLEANUP,
        acting="! pgrep -f 'sleep 7781$'",
    ),
]
