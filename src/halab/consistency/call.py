"""One call on an object that a sequential model describes, as its client saw it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from halab.consistency.operation import Operation


@dataclass(frozen=True, slots=True, kw_only=True)
class Call(Operation):
    """`f` of `argument` on the object `key`, which answered `result`.

    `halab.consistency.models` says what each f takes. An answer that says no (a compare-and-set that met another value,
    a lock that was held) is a `result` of a call that is OK; FAIL says that it surely did not take place. Argument and
    result have to be hashable.
    """

    key: Hashable
    f: str
    argument: Any = None
    result: Any = None
