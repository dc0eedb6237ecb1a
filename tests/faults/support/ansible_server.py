"""Ansible loaded once: each request on the socket is an `ansible` command line, carried out by a fork of this process.

A fork is a process like any other `ansible`, in a session of its own, except that it does not spend half a second on
imports. Started as `python ansible_server.py SOCKET`; ends when its standard input does.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import traceback
from pathlib import Path

from ansible.cli.adhoc import AdHocCLI
from ansible.executor import task_queue_manager  # noqa: F401 (what a command would import at its first task)
from ansible.inventory import manager  # noqa: F401
from ansible.plugins.connection import ssh  # noqa: F401


def carry_out(connection: socket.socket) -> None:
    """In the fork: read the request, answer with the process number, run, answer with the exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.setsid()
    with connection.makefile("rw") as stream:
        request = json.loads(stream.readline())
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        os.environ.update(request["environment"])
        with Path(request["output"]).open("w") as output:
            for number in (1, 2):
                os.dup2(output.fileno(), number)
        try:
            code = int(AdHocCLI(["ansible", *request["arguments"]]).run() or 0)
        except BaseException:  # noqa: BLE001 (a request must not end in the server's loop)
            traceback.print_exc()
            code = 250
        sys.stdout.flush()
        sys.stderr.flush()
        stream.write(f"{code}\n")
    os._exit(code)


def main() -> None:
    # A fork that ends needs nobody to wait for it.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen()
    print("ready", flush=True)  # noqa: T201
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        if os.fork() == 0:
            listener.close()
            devnull = os.open(os.devnull, os.O_RDONLY)
            os.dup2(devnull, 0)
            carry_out(connection)
        connection.close()


if __name__ == "__main__":
    main()
