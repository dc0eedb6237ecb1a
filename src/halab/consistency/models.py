"""Objects whose histories `halab.consistency.linearizable` can judge; derive from `Simple` for one of your own.

A call that was answered with a no (result False) changes nothing. Results that clients do not look at are None.
"""

from __future__ import annotations

from halab.consistency.linear.counting import Counter
from halab.consistency.linear.keyvalue import KeyValue
from halab.consistency.linear.lock import Lock
from halab.consistency.linear.model import IMPOSSIBLE, Frame, Model, Simple, State, Traces
from halab.consistency.linear.queue import Queue
from halab.consistency.linear.register import Register
from halab.consistency.linear.transactions import Transactions

__all__ = [
    "IMPOSSIBLE",
    "Counter",
    "Frame",
    "KeyValue",
    "Lock",
    "Model",
    "Queue",
    "Register",
    "Simple",
    "State",
    "Traces",
    "Transactions",
]
