"""How an operation ended that has no ok: the same words for every service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

from halab.errors import HalabError


class OperationFailed(HalabError):  # noqa: N818 (an outcome, not a fault of the program)
    """An operation without an ok: `outcome` fail means it surely did not happen, info means that nobody knows.

    `reached` tells whether a server that could have carried it out was reached, `lost` that the connection is of no
    further use.
    """

    def __init__(
        self, outcome: Literal["fail", "info"], error_class: str, text: str, *, reached: bool, lost: bool = False
    ) -> None:
        self.outcome: Literal["fail", "info"] = outcome
        self.error_class = error_class
        self.text = text
        self.reached = reached
        self.lost = lost
        super().__init__(f"{error_class}: {text}")


@contextmanager
def nothing_done() -> Iterator[None]:
    """What is unknown about a call that changes nothing does not matter: it did not happen."""
    try:
        yield
    except OperationFailed as error:
        if error.outcome == "fail":
            raise
        raise OperationFailed("fail", error.error_class, error.text, reached=error.reached, lost=error.lost) from None
