"""A disk that is full or slow, seen by df and by a service that times its own syncs."""

from __future__ import annotations

from tests.faults.cases import Case

# Syncs all the time and keeps the milliseconds of the last one in a file.
SYNCER = """\
import os, time
handle = os.open("/srv/data/synced", os.O_CREAT | os.O_RDWR)
while True:
    os.pwrite(handle, b"x", 0)
    began = time.monotonic()
    try:
        os.fdatasync(handle)
        told = f"{(time.monotonic() - began) * 1000:.3f}"
    except OSError as error:
        told = error.strerror
    with open("/run/syncer.new", "w") as file:
        file.write(told + "\\n")
    os.replace("/run/syncer.new", "/run/syncer")
    time.sleep(0.02)
"""
SYNCING = (
    f"systemd-run --quiet --collect --unit=syncer python3 -c '{SYNCER}'; until [ -s /run/syncer ]; do sleep 0.1; done"
)
SYNCED = "systemctl stop syncer.service; rm -f /srv/data/synced /run/syncer*"
CASES = [
    Case(
        name="disk-full",
        module="disk",
        parameters={"kind": "full", "path": "/srv/data"},
        acting='[ "$(df --output=avail /srv/data | tail -1)" -eq 0 ]',
        outlives_boot=True,
    ),
    Case(
        name="disk-inodes",
        module="disk",
        parameters={"kind": "inodes", "path": "/srv/data"},
        acting='[ "$(df --output=iavail /srv/data | tail -1)" -eq 0 ]',
        outlives_boot=True,
    ),
    Case(
        name="disk-sync-delay",
        module="disk",
        parameters={"kind": "sync_delay", "unit": "syncer.service", "delay_ms": 200, "first_call_within": 5},
        acting="awk '{exit !($1 >= 200)}' /run/syncer",
        prepare=SYNCING,
        cleanup=SYNCED,
    ),
    Case(
        name="disk-sync-error",
        module="disk",
        parameters={"kind": "sync_error", "unit": "syncer.service", "error": "EIO", "first_call_within": 5},
        acting="grep -q 'Input/output error' /run/syncer",
        prepare=SYNCING,
        cleanup=SYNCED,
    ),
]
