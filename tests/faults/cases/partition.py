"""A machine that is cut from peers, in the ways that differ in mechanism.

The first acts on all three machines at once and beside faults of other families: it is about one peer only, lest that
peer's own cut look like this one, and about a port that nobody else uses.
"""

from __future__ import annotations

from tests.faults.cases import Case


def unanswered(port: int = 22, *, wanted: str = "TimeoutError") -> str:
    """Shell text that holds while an attempt to connect to the first peer ends so."""
    script = (
        "import socket,sys\n"
        f"try: socket.create_connection((sys.argv[1], {port}), 0.5).close()\n"
        f"except {wanted}: sys.exit(0)\n"
        "sys.exit(1)"
    )
    return f"python3 -I -c '{script}' @m2@"


CASES = [
    Case(
        name="partition-port",
        module="partition",
        parameters={"peers": ["@m2@"], "ports": [7441], "port_side": "theirs", "protocol": "tcp"},
        acting=unanswered(7441),
    ),
    Case(
        name="partition-drop",
        module="partition",
        parameters={"peers": ["@m2@"]},
        acting=unanswered(),
    ),
    Case(
        name="partition-in",
        module="partition",
        parameters={"peers": ["@m2@"], "direction": "in"},
        acting=unanswered(),
    ),
    Case(
        name="partition-out-port",
        module="partition",
        parameters={"peers": ["@m2@"], "direction": "out", "ports": [22], "port_side": "theirs", "protocol": "tcp"},
        acting=unanswered(),
    ),
    Case(
        name="partition-reset",
        module="partition",
        parameters={"peers": ["@m2@", "@m3@"], "action": "reset"},
        acting=unanswered(wanted="ConnectionRefusedError"),
    ),
    Case(
        name="partition-flap",
        module="partition",
        parameters={"peers": ["@m2@"], "flap": {"period": 1.0, "duty": 0.6}},
        # Cut for a part of every second only: one of some attempts meets it.
        acting=f"for n in 1 2 3 4 5 6; do {unanswered()} && exit 0; sleep 0.15; done; exit 1",
    ),
]
