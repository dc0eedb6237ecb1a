"""Histories made by systems that keep their promises, for the tests and the benchmark of the checkers.

Each generator runs a correct object under simulated concurrency, with unknown outcomes that may or may not take effect,
at any later time. A seed decides everything.
"""
