"""Operations on keys as columns: what a million of them need to be judged in a second."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

NEVER: Final = int(np.iinfo(np.int64).max)
"""Completion time of an operation whose outcome is unknown: it may take effect at any later time, or not at all."""
READ: Final = 0
WRITE: Final = 1
OK: Final = 0
FAIL: Final = 1
INFO: Final = 2
NOTHING: Final = int(np.iinfo(np.int64).min)
"""Value of a key that was never written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """One entry an operation, in any order; times in nanoseconds of one clock.

    `op` is the number that witnesses name, `f` READ or WRITE, `value` what was written or read (NOTHING for an
    absent one), `outcome` OK, FAIL or INFO; `complete` of an INFO is ignored and taken as NEVER.

    Raises ValueError for columns of different lengths and for an operation that completes before its invocation.
    """

    op: Integers
    process: Integers
    key: Integers
    f: Integers
    value: Integers
    invoke: Integers
    complete: Integers
    outcome: Integers

    def __post_init__(self) -> None:
        sizes = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        if len(set(sizes.values())) > 1:
            raise ValueError(f"columns differ in length: {sizes}")
        backwards = np.flatnonzero((self.outcome != INFO) & (self.complete < self.invoke))
        if len(backwards):
            at = backwards[0]
            raise ValueError(
                f"operation {self.op[at]} completes at {self.complete[at]}, before its invocation at {self.invoke[at]}"
            )

    def __len__(self) -> int:
        return len(self.op)
