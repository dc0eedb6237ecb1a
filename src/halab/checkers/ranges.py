"""Sets of row ids as closed ranges: a table of millions of rows is a handful of numbers."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from halab.history.records import IdRange


@dataclass(frozen=True, slots=True)
class Ids:
    """A set of integers as sorted, disjoint, closed ranges; `repeated` is how many entries of the source came again."""

    starts: tuple[int, ...]
    ends: tuple[int, ...]
    repeated: int

    @classmethod
    def of(cls, ranges: Iterable[IdRange]) -> Ids:
        """The union of `ranges`, in any order."""
        starts: list[int] = []
        ends: list[int] = []
        repeated = 0
        for first, last in sorted(ranges):
            if ends and first <= ends[-1]:
                repeated += min(last, ends[-1]) - first + 1
                ends[-1] = max(ends[-1], last)
            elif ends and first == ends[-1] + 1:
                ends[-1] = last
            else:
                starts.append(first)
                ends.append(last)
        return cls(tuple(starts), tuple(ends), repeated)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self.starts, number) - 1
        return at >= 0 and number <= self.ends[at]

    def __len__(self) -> int:
        return sum(self.ends) - sum(self.starts) + len(self.starts)

    def without(self, known: Ids) -> Ids:
        """The members of this set that are not in `known`."""
        return Ids.of((first, last) for first, last in self._gaps(known) if first <= last)

    def examples(self, most: int) -> list[int]:
        """The smallest members, at most `most` of them."""
        return list(
            islice((n for pair in zip(self.starts, self.ends, strict=True) for n in range(pair[0], pair[1] + 1)), most)
        )

    def _gaps(self, known: Ids) -> Iterator[IdRange]:
        """What `known` leaves between its ranges, which may be nothing: such a range ends before it begins."""
        for first, last in zip(self.starts, self.ends, strict=True):
            begin = first
            for at in range(bisect_left(known.ends, first), bisect_right(known.starts, last)):
                yield begin, known.starts[at] - 1
                begin = known.ends[at] + 1
            yield begin, last
