"""Machines that talk to each other by sockets, so that a test sees for itself what a network does."""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from tests.faults.support.machines import Node

_CONNECT = """
import errno, socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=float(sys.argv[3])).close()
    print("connected")
except TimeoutError:
    print("silent")
except OSError as error:
    print(errno.errorcode[error.errno])
"""
_SEND = """
import errno, socket, sys, time
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
out = socket.socket(family, socket.SOCK_DGRAM)
told = "nothing"
for _ in range(30):
    try:
        out.sendto(b"x", (sys.argv[1], int(sys.argv[2])))
    except OSError as error:
        told = errno.errorcode[error.errno]
    time.sleep(0.04)
print(told)
"""
_RECEIVE = """
import socket, sys
heard = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
heard.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
heard.bind(("::", int(sys.argv[1])))
heard.settimeout(1.6)
try:
    heard.recv(1)
    print("heard")
except TimeoutError:
    print("silent")
"""
_SERVE = """
import socket, socketserver, sys, threading
class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        try:
            while data := self.request.recv(64):
                self.request.sendall(data)
        except OSError:
            pass
class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address, daemon_threads, address_family = True, True, socket.AF_INET6
for port in sys.argv[1:]:
    threading.Thread(target=Server(("::", int(port)), Echo).serve_forever).start()
datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
datagrams.bind(("::", int(sys.argv[1])))
open("/run/talk-ready", "w").close()
while True:
    data, sender = datagrams.recvfrom(64)
    datagrams.sendto(data, sender)
"""
# One line for every word sent: what came back.
_CHAT = """
import errno, socket, sys, time
talk = socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=2)
talk.settimeout(0.4)
with open("/run/talk-chat", "w", buffering=1) as log:
    while True:
        try:
            talk.sendall(b"x")
            log.write("echo\\n" if talk.recv(64) else "closed\\n")
        except TimeoutError:
            log.write("silent\\n")
        except OSError as error:
            log.write(errno.errorcode[error.errno] + "\\n")
        time.sleep(0.1)
"""
_BEATS = """
import json, socket, sys, time
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.connect((sys.argv[1], int(sys.argv[2])))
out.setblocking(False)
began, beats, back, number = time.monotonic(), [], set(), 0
while time.monotonic() - began < float(sys.argv[3]):
    beats.append(time.monotonic() - began)
    out.send(str(number).encode())
    number += 1
    until = began + number * 0.02
    while time.monotonic() < until:
        try:
            back.add(int(out.recv(64)))
        except BlockingIOError:
            time.sleep(0.002)
        except ConnectionRefusedError:
            pass
print(json.dumps([[beat, n in back] for n, beat in enumerate(beats)]))
"""


def _python(script: str, *arguments: object) -> str:
    return f"python3 -I -c {shlex.quote(script)} {' '.join(shlex.quote(str(argument)) for argument in arguments)}"


def connect(node: Node, address: str, port: int, *, within_s: float = 0.7) -> str:
    """How a connection attempt ends: `connected`, `silent`, or the name of an error."""
    return node.run(_python(_CONNECT, address, port, within_s))


def datagrams(sender: Node, receiver: Node, address: str, port: int = 7009) -> tuple[str, str]:
    """Send UDP for a second: whether the receiver `heard` it or was `silent`, and which error the sender was told."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        listening = pool.submit(receiver.run, _python(_RECEIVE, port))
        told = sender.run(_python(_SEND, address, port))
        return listening.result(), told


def reaches(sender: Node, receiver: Node) -> bool:
    """Whether datagrams arrive."""
    return datagrams(sender, receiver, receiver.address)[0] == "heard"


@contextlib.contextmanager
def served(node: Node, *ports: int) -> Iterator[None]:
    """An echo server for TCP at these ports, and for UDP at the first."""
    with background(node, _python(_SERVE, *ports)):
        node.await_holds("test -e /run/talk-ready", within_s=10)
        yield
    node.run("rm -f /run/talk-ready")


@contextlib.contextmanager
def background(node: Node, command: str) -> Iterator[None]:
    """A command that runs for as long as the block does."""
    pid = node.run(f"setsid {command} >/dev/null 2>&1 </dev/null & echo $!")
    try:
        yield
    finally:
        # By its group, because setsid of a shell's child does not fork.
        node.run(f"kill -KILL -{pid}", check=False)


@dataclass(frozen=True, slots=True)
class Chat:
    """A connection that is open all the time and over which something is always said."""

    node: Node

    def said(self, what: str, *, within_s: float = 8.0) -> bool:
        """Whether from now on this is heard: the last two answers are it."""
        self.node.run(": > /run/talk-chat")
        wanted = f'[ "$(tail -n 2 /run/talk-chat | grep -cx {what})" = 2 ]'
        try:
            self.node.await_holds(wanted, within_s=within_s)
        except Exception:  # noqa: BLE001 (whatever is the reason, it was not heard)
            return False
        return True

    def heard(self) -> str:
        return self.node.run("cat /run/talk-chat")


@contextlib.contextmanager
def chatting(node: Node, address: str, port: int) -> Iterator[Chat]:
    """An open connection from `node` to the echo server at `address`."""
    with background(node, _python(_CHAT, address, port)):
        node.await_holds("grep -q echo /run/talk-chat", within_s=10)
        yield Chat(node)
    node.run("rm -f /run/talk-chat")


def beats(node: Node, address: str, port: int, *, for_s: float) -> list[tuple[float, bool]]:
    """Say something 50 times a second: seconds since the first, and whether it came back."""
    return [(float(at), bool(back)) for at, back in json.loads(node.run(_python(_BEATS, address, port, for_s)))]
