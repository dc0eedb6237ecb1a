# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Observations that prove a fault's effect, or its absence. They are data, so that a ledger can hold them."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

COMMAND_WITHIN_S = 120.0
_ANSWER_WITHIN_S = 1.5
_POLL_S = 0.2

Kind = Literal["output", "ssh"]


@dataclass(frozen=True, slots=True)
class Probe:
    """One expectation.

    ``output``: the command `argv` exits 0 and its first line is `expected`; further lines are evidence in words.
    ``ssh``: an SSH server at `argv` (address, port) answers (`expected` ``answers``) or does not (``silent``).
    """

    kind: Kind
    argv: tuple[str, ...]
    expected: str

    def dump(self) -> dict[str, Any]:
        return {"kind": self.kind, "argv": list(self.argv), "expected": self.expected}

    @classmethod
    def load(cls, data: Mapping[str, Any]) -> Probe:
        """Raises KeyError, TypeError or ValueError when `data` is not a probe."""
        kind = data["kind"]
        if kind not in _OBSERVERS:
            raise ValueError(f"probe kind {kind!r} is not known")
        return cls(kind, tuple(str(word) for word in data["argv"]), str(data["expected"]))

    def observe(self) -> tuple[bool, str]:
        """Look once: whether the expectation holds, and what was seen, in words."""
        seen, words = _OBSERVERS[self.kind](self.argv)
        return seen == self.expected, words


def output(argv: Sequence[str], expected: str) -> Probe:
    return Probe("output", tuple(argv), expected)


def ssh(address: str, port: int, *, answers: bool) -> Probe:
    return Probe("ssh", (address, str(port)), "answers" if answers else "silent")


def await_all(probes: Sequence[Probe], *, within_s: float) -> tuple[bool, list[str]]:
    """Observe until all probes hold at once, for `within_s` seconds at most; returns the last observations in words."""
    deadline = time.monotonic() + within_s
    while True:
        findings = [probe.observe() for probe in probes]
        held = all(holds for holds, _words in findings)
        if held or time.monotonic() >= deadline:
            return held, [words for _holds, words in findings]
        time.sleep(_POLL_S)


def run(argv: Sequence[str], *, within_s: float = COMMAND_WITHIN_S) -> tuple[int, str, str]:
    """Run a command without input: exit code, output, error text. A missing one has code 127, a hanging one 124."""
    try:
        done = subprocess.run(
            list(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=within_s, check=False
        )
    except subprocess.TimeoutExpired:
        return 124, "", f"did not end within {within_s:g} s"
    except OSError as error:
        return 127, "", str(error)
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def _observe_output(argv: Sequence[str]) -> tuple[str, str]:
    code, out, err = run(argv)
    shown = " ".join(argv)
    if code != 0:
        return "", f"`{shown}` failed with code {code}: {err or out}"
    state, *words = out.splitlines() or [""]
    return state, "; ".join(words) or f"`{shown}` says {state}"


def _observe_ssh(argv: Sequence[str]) -> tuple[str, str]:
    address, port = argv
    where = f"{address} port {port}"
    try:
        with socket.create_connection((address, int(port)), timeout=_ANSWER_WITHIN_S) as connection:
            banner = connection.recv(64)
    except OSError as error:
        return "silent", f"{where} does not answer ({error})"
    if not banner.startswith(b"SSH-"):
        return "silent", f"{where} accepts connections, but no SSH server speaks"
    return "answers", f"{where} answers as an SSH server"


_OBSERVERS: Mapping[str, Callable[[Sequence[str]], tuple[str, str]]] = {"output": _observe_output, "ssh": _observe_ssh}
