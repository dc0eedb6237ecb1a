"""Observers: one thread for each node and source, so that a dead node delays nobody else's observation."""

from halab.observe.observers import Observers
from halab.observe.view import View

__all__ = ["Observers", "View"]
