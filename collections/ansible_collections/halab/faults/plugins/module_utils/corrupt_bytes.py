# GNU General Public License v3.0+ (see https://www.gnu.org/licenses/gpl-3.0.txt)
"""Damage inside a file: which bytes, what they were, what they became; and putting back those still as they became."""

from __future__ import annotations

import os
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_BLOCK = 4096
_COPY = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """Bytes of a file: `start` to before `end`."""

    start: int
    end: int

    @classmethod
    def of(cls, *, offset: int, length: int, size: int) -> Region:
        """`offset` counts from the end when negative; `length` 0 reaches to the end.

        Raises ValueError when the file of `size` bytes has no such region.
        """
        start = offset + size if offset < 0 else offset
        end = size if length == 0 else start + length
        if not 0 <= start < end <= size:
            raise ValueError(f"bytes {start} to {end} are not within its {size}")
        return cls(start=start, end=end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Original:
    """The file before its damage, so that a file put in its place is not taken for it."""

    device: int
    inode: int
    size: int
    accessed_ns: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> Original:
        seen = path.lstat()
        return cls(
            device=seen.st_dev,
            inode=seen.st_ino,
            size=seen.st_size,
            accessed_ns=seen.st_atime_ns,
            modified_ns=seen.st_mtime_ns,
        )

    def still(self, path: Path) -> bool:
        """Whether the path is that file still."""
        try:
            seen = path.lstat()
        except FileNotFoundError:
            return False
        return (seen.st_dev, seen.st_ino) == (self.device, self.inode)

    def touch(self, path: Path) -> None:
        """Give it its times back: neither damage nor repair is to be seen by them."""
        os.utime(path, ns=(self.accessed_ns, self.modified_ns))


def flips(region: Region, *, count: int, seed: int) -> dict[int, int]:
    """Offsets of bytes and the bits to turn over in them, the same for the same `seed`.

    Raises ValueError when the region has fewer bits than `count`.
    """
    bits = 8 * (region.end - region.start)
    if count > bits:
        raise ValueError(f"{count} bits are more than the {bits} of the region")
    masks: dict[int, int] = {}
    for bit in random.Random(seed).sample(range(bits), count):  # noqa: S311 (repeatable, not secret)
        offset = region.start + bit // 8
        masks[offset] = masks.get(offset, 0) | 1 << bit % 8
    return dict(sorted(masks.items()))


def keep(path: Path, region: Region, kept: Path) -> None:
    """Copy the region so that it outlives a crash. Raises OSError, as when there is no space."""
    with path.open("rb") as source, kept.open("xb") as copy:
        source.seek(region.start)
        left = region.end - region.start
        while left > 0 and (data := source.read(min(_COPY, left))):
            copy.write(data)
            left -= len(data)
        copy.flush()
        os.fsync(copy.fileno())


def flip(path: Path, changes: Sequence[Sequence[int]]) -> None:
    """Write the new byte of each (offset, old, new)."""
    _write(path, [(offset, bytes([new])) for offset, _old, new in changes])


def zero(path: Path, region: Region) -> None:
    _write(path, [(offset, bytes(end - offset)) for offset, end in _blocks(region)])


def cut(path: Path, size: int) -> None:
    with path.open("rb+") as file:
        file.truncate(size)
        os.fsync(file.fileno())


def flipped(path: Path, changes: Sequence[Sequence[int]]) -> list[tuple[int, bytes]]:
    """Of the changed bytes, those that are still as they became, with what they were."""
    with path.open("rb") as file:
        return [(offset, bytes([old])) for offset, old, new in changes if _read(file, offset, 1) == bytes([new])]


def zeroed(path: Path, region: Region, kept: Path) -> list[tuple[int, bytes]]:
    """Of the region's blocks, those that are still zero though they were not, with what they were."""
    found = []
    with path.open("rb") as file, kept.open("rb") as copy:
        for offset, end in _blocks(region):
            old = _read(copy, offset - region.start, end - offset)
            if old != bytes(len(old)) and _read(file, offset, end - offset) == bytes(len(old)):
                found.append((offset, old))
    return found


def put_back(path: Path, pieces: Sequence[tuple[int, bytes]]) -> None:
    """Write the pieces and read them again. Raises OSError when they are not there then."""
    _write(path, pieces)
    with path.open("rb") as file:
        wrong = [offset for offset, old in pieces if _read(file, offset, len(old)) != old]
    if wrong:
        raise OSError(f"{path}: byte {wrong[0]} was written and is not there")


def append(path: Path, kept: Path) -> None:
    """Put what was cut off back at the end."""
    with path.open("ab") as file, kept.open("rb") as copy:
        while data := copy.read(_COPY):
            file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _blocks(region: Region) -> list[tuple[int, int]]:
    """The region cut at multiples of a block, as components write them."""
    starts = [region.start, *range((region.start // _BLOCK + 1) * _BLOCK, region.end, _BLOCK)]
    return [(start, min(end, region.end)) for start, end in zip(starts, [*starts[1:], region.end], strict=True)]


def _read(file: Any, offset: int, length: int) -> bytes:
    data: bytes = os.pread(file.fileno(), length, offset)
    return data


def _write(path: Path, pieces: Sequence[tuple[int, bytes]]) -> None:
    """Write through to the device, and forget the cached pages, so that what is read next comes from there."""
    with path.open("rb+") as file:
        for offset, data in pieces:
            os.pwrite(file.fileno(), data, offset)
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
