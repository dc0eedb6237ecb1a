"""Which programs a preloaded library reaches: real images of this machine, and the one that Go makes."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ansible_collections.halab.faults.plugins.module_utils.clockfault_program import (
    environment,
    image_reason,
    maps_library,
    secure,
    unreachable,
)


def image(*segments: tuple[int, bytes], sections: bytes = b"") -> bytes:
    """A 64-bit ELF image with these program segments."""
    data = bytearray(b"\x7fELF\x02\x01\x01" + bytes(57))
    struct.pack_into("<Q", data, 32, 64)
    struct.pack_into("<HH", data, 54, 56, len(segments))
    offset = 64 + 56 * len(segments)
    body = b""
    for kind, content in segments:
        data += struct.pack("<IIQQQQQQ", kind, 0, offset + len(body), 0, 0, len(content), 0, 0)
        body += content
    return bytes(data) + body + sections


INTERPRETER = (3, b"/lib64/ld-linux-x86-64.so.2\0")
GO_NOTE = (4, struct.pack("<III", 4, 4, 4) + b"Go\0\0" + b"abcd")


def test_python_takes_a_library() -> None:
    assert image_reason(Path(sys.executable).read_bytes()) == ""
    assert image_reason(image(INTERPRETER)) == ""


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (image((1, b"code")), "linked statically"),
        (image((1, b"code"), GO_NOTE), "written in Go"),
        (image(INTERPRETER, GO_NOTE), "written in Go"),
        (image(INTERPRETER, sections=b"\0.gopclntab\0"), "written in Go"),
        (image((3, b"/lib/ld-musl-x86_64.so.1\0")), "ld-musl"),
        (b"\x7fELF\x01\x01" + bytes(60), "64-bit"),
        (b"#!/bin/sh\n", "64-bit"),
    ],
)
def test_programs_that_take_none(made: bytes, reason: str) -> None:
    assert reason in image_reason(made)


def test_setuid_programs_are_told_by_the_kernel() -> None:
    assert secure(struct.pack("=QQQQQQ", 6, 4096, 23, 1, 0, 0))
    assert not secure(struct.pack("=QQQQQQ", 6, 4096, 23, 0, 0, 0))


@contextlib.contextmanager
def running(env: dict[str, str], program: str = "cat") -> Iterator[int]:
    """A process with this environment, seen to run: while it is being started its own is not there yet."""
    with subprocess.Popen([program], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin and child.stdout
        child.stdin.write(b"x\n")
        child.stdin.flush()
        assert child.stdout.readline() == b"x\n"
        yield child.pid


def test_a_process_that_can_be_reached() -> None:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("LD_", "FAKETIME"))}
    with running(clean) as pid:
        assert unreachable(pid) == ""
        assert environment(pid).keys() == clean.keys()
        assert not maps_library(pid)


def test_a_process_that_preloads_already() -> None:
    with running({**os.environ, "LD_PRELOAD": ""}) as pid:
        assert "LD_PRELOAD already" in unreachable(pid)


def test_a_program_that_hangs_with_the_library(tmp_path: Path) -> None:
    """libfaketime and jemalloc wait for each other: no service may be restarted into that."""
    program = tmp_path / "program"
    program.write_bytes(Path(shutil.which("cat") or "").read_bytes() + b"<jemalloc>")
    program.chmod(0o755)
    with running({"PATH": os.environ["PATH"]}, str(program)) as pid:
        assert "allocates memory by jemalloc" in unreachable(pid)
