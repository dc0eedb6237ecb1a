"""Transactions on lists: anomalies of isolation, after Adya, as Elle finds them.

`check` judges a history of `Transaction`s against a level of `LEVELS`; `POSTGRESQL` says which one a database promises.
"""

from halab.consistency.append.judge import DEFAULT_LEVEL, check
from halab.consistency.append.levels import LEVELS, POSTGRESQL
from halab.consistency.append.transactions import Micro, Transaction

__all__ = ["DEFAULT_LEVEL", "LEVELS", "POSTGRESQL", "Micro", "Transaction", "check"]
