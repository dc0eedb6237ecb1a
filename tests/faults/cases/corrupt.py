"""Data that is damaged or lost, seen by reading it."""

from __future__ import annotations

from tests.faults.cases import Case

MEMBERS = {"members": ["m1", "m2", "m3"], "member": "m1"}
CASES = [
    Case(
        name="corrupt-flip",
        module="corrupt",
        parameters={"kind": "flip", "path": "/srv/data/zeros", "count": 7, **MEMBERS},
        acting="[ \"$(tr -d '\\0' < /srv/data/zeros | wc -c)\" -gt 0 ]",
        prepare="head -c 20000 /dev/zero > /srv/data/zeros",
        cleanup="rm -f /srv/data/zeros",
        outlives_boot=True,
    ),
    Case(
        name="corrupt-remove",
        module="corrupt",
        parameters={"kind": "remove", "path": "/srv/data/member", **MEMBERS},
        acting="! test -e /srv/data/member",
        prepare="mkdir -p /srv/data/member/base; echo 17 > /srv/data/member/version; chown -R nobody /srv/data/member; "
        "chmod 0700 /srv/data/member",
        cleanup="rm -rf /srv/data/member",
        outlives_boot=True,
    ),
]
