"""Checkers: a history in, a verdict out. Pure functions without input or output, one promise each."""

from halab.checkers.context import Context, PlannedLoad, Promise

__all__ = ["Context", "PlannedLoad", "Promise"]
