"""Links to one peer, felt by connections that a shell makes to it."""

from __future__ import annotations

from tests.faults.cases import Case

# The best of five, because a busy machine is slow at times; a delayed link is slow every time. One that is cut is not
# this fault's doing, but slow too.
SLOW = (
    "import socket, sys, time\n"
    "def once():\n"
    "    began = time.monotonic()\n"
    "    try:\n"
    "        socket.create_connection(('@m2@', 22), 1).close()\n"
    "    except OSError:\n"
    "        pass\n"
    "    return time.monotonic() - began\n"
    "sys.exit(min(once() for _ in range(5)) < 0.075)\n"
)

CASES = [
    Case(
        name="link-delay",
        module="link",
        # Not the peer from which the first case of partitions cuts: both act on one machine in a test.
        parameters={"peers": ["@m3@"], "delay_ms": 80},
        acting=f'python3 -c "{SLOW}"'.replace("@m2@", "@m3@"),
    ),
    Case(
        name="link-delay-port-both",
        module="link",
        parameters={"peers": ["@m2@", "@m3@"], "ports": [22], "direction": "both", "delay_ms": 40},
        acting=f'python3 -c "{SLOW}"',
    ),
    Case(
        name="link-loss-out",
        module="link",
        parameters={"peers": ["@m2@"], "direction": "out", "loss": 100},
        acting="! timeout 2 bash -c '</dev/tcp/@m2@/22' 2>/dev/null",
    ),
    Case(
        name="link-everybody",
        module="link",
        parameters={"delay_ms": 80, "probe": ["@m2@"]},
        acting=f'python3 -c "{SLOW}"',
    ),
]
