"""How each fault of molecule/faults/converge.yml shows to somebody who has never heard of it."""

from __future__ import annotations

from typing import Final

from halab.inventory import Cluster

HOSTS: Final = ["ansible://machine1"]
OBSERVATIONS: Final = {
    "process": "ps -o stat=,args= -C sleep | grep -q '^T.*sleep 70001'",
    "service": "! systemctl is-active --quiet molecule-stopped",
    "partition": "! timeout 2 bash -c ': < /dev/tcp/{machine2}/22'",
    "link": (
        "python3 -c 'import socket, time; began = time.monotonic(); "
        'socket.create_connection(("{machine3}", 22), 10); '
        "raise SystemExit(time.monotonic() - began < 0.15)'"
    ),
    "disk": (
        "! dd if=/dev/zero of=/srv/data/molecule bs=1M count=4 status=none; "
        "code=$?; rm -f /srv/data/molecule; exit $code"
    ),
    "clock": 'test "$(date -d "$(cat /run/molecule-time)" +%s)" -lt "$(date -d \'-1 hour\' +%s)"',
    "pressure": 'test "$(ps -e -o rss= | sort -n | tail -n 1)" -gt 65536',
    "config": "grep -q '^# wrong$' /etc/hosts",
}
"""By family a command of bash whose exit code is 0 exactly while the fault acts."""


def command(fault: str, cluster: Cluster) -> str:
    """The command, with addresses for the names of machines."""
    text = OBSERVATIONS[fault]
    for host in cluster.hosts:
        text = text.replace(f"{{{host.name}}}", host.address)
    return text
