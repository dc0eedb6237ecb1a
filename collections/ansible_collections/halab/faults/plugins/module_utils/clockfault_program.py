# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a preloaded library can change the time that a running program sees."""

from __future__ import annotations

import os
import platform
import struct
from pathlib import Path

_PROC = Path("/proc")
_PT_INTERP, _PT_NOTE = 3, 4
_AT_SECURE = 23
_LIBRARY = "libfaketime.so.1"
_PRELOAD = ("LD_PRELOAD", "FAKETIME", "FAKETIME_TIMESTAMP_FILE")


def library() -> Path | None:
    """libfaketime for programs of this machine's own architecture, where Debian or its own installer puts it."""
    folders = (
        Path(f"/usr/lib/{platform.machine()}-linux-gnu/faketime"),
        Path("/usr/lib64/faketime"),
        Path("/usr/lib/faketime"),
        Path("/usr/local/lib/faketime"),
    )
    return next((folder / _LIBRARY for folder in folders if (folder / _LIBRARY).is_file()), None)


def unreachable(pid: int) -> str:
    """Why a library cannot be preloaded into the program of this process; empty when it can. Raises OSError."""
    folder = _PROC / str(pid)
    name = os.readlink(folder / "exe")
    image = (folder / "exe").read_bytes()
    reason = image_reason(image)
    if not reason and secure((folder / "auxv").read_bytes()):
        reason = "runs with more rights than its caller (setuid, setgid or file capabilities), and preloads nothing"
    if not reason and (b"jemalloc" in image or "/libjemalloc" in _maps(pid)):
        # Each asks the other for something before it is ready itself: github.com/wolfcw/libfaketime, issue 130.
        reason = "allocates memory by jemalloc, with which libfaketime waits for ever when it starts"
    if reason:
        return f"its program {name} {reason}"
    given = sorted(_PRELOAD & environment(pid).keys())
    return f"its environment has {', '.join(given)} already" if given else ""


def environment(pid: int) -> dict[str, str]:
    """The environment with which a process was started. Raises OSError."""
    text = (_PROC / str(pid) / "environ").read_bytes().decode(errors="surrogateescape")
    return dict(word.split("=", 1) for word in text.split("\0") if "=" in word)


def maps_library(pid: int) -> bool:
    """Whether libfaketime is in the memory of a process. Raises OSError."""
    return "/libfaketime" in _maps(pid)


def _maps(pid: int) -> str:
    return (_PROC / str(pid) / "maps").read_text(encoding="utf-8", errors="replace")


def root(pid: int) -> str:
    """The folder that a process sees as its root. Raises OSError."""
    return os.readlink(_PROC / str(pid) / "root")


def secure(auxv: bytes) -> bool:
    """Whether the kernel told the program's loader to trust no environment, see getauxval(3)."""
    pairs = struct.iter_unpack("=QQ", auxv[: len(auxv) // 16 * 16])
    return any(key == _AT_SECURE and value for key, value in pairs)


def image_reason(image: bytes) -> str:
    """Why an ELF image does not take a library of glibc programs; empty when it does."""
    if image[:4] != b"\x7fELF" or image[4:6] != b"\x02\x01":
        return "is not a 64-bit little-endian ELF program, for which alone libfaketime is preloaded"
    segments = _segments(image)
    interpreter = (
        next((data for kind, data in segments if kind == _PT_INTERP), b"").rstrip(b"\0").decode(errors="replace")
    )
    if any(kind == _PT_NOTE and b"Go\0\0" in data for kind, data in segments) or b".gopclntab\0" in image:
        return "is written in Go, which reads the clock without the C library"
    if not interpreter:
        return "is linked statically, so that nothing can be preloaded"
    if "musl" in interpreter:
        return f"is loaded by {interpreter}, for which libfaketime was not built"
    return ""


def _segments(image: bytes) -> list[tuple[int, bytes]]:
    (table,) = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    found = []
    for number in range(count):
        kind, _flags, offset, _virtual, _physical, length = struct.unpack_from("<IIQQQQ", image, table + number * size)
        found.append((kind, image[offset : offset + length] if kind in (_PT_INTERP, _PT_NOTE) else b""))
    return found
