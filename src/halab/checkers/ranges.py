"""Sets of row ids as closed ranges: a table of millions of rows is a handful of numbers."""

from __future__ import annotations

from bisect import bisect_right
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
        return Ids.of(self._gaps(known))

    def examples(self, most: int) -> list[int]:
        """The smallest members, at most `most` of them."""
        return list(
            islice((n for pair in zip(self.starts, self.ends, strict=True) for n in range(pair[0], pair[1] + 1)), most)
        )

    def _gaps(self, known: Ids) -> Iterator[IdRange]:
        for first, last in zip(self.starts, self.ends, strict=True):
            at = max(bisect_right(known.starts, first) - 1, 0)
            while first <= last and at < len(known.starts) and known.starts[at] <= last:
                if known.starts[at] > first:
                    yield first, known.starts[at] - 1
                first = max(first, known.ends[at] + 1)  # noqa: PLW2901  the rest of this range
                at += 1
            if first <= last:
                yield first, last
