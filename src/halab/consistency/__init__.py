"""Checkers of consistency models: what a history of operations on one kind of object proves.

Theory only: operations in, finding out. Nothing here knows a cluster, a run folder, a promise or a threshold, and
nothing does I/O; `halab.checkers` builds promises on it. Every checker is exact or says UNKNOWN, and names the smallest
evidence it found. Outcomes are Jepsen's: an unknown write may have taken effect at any time after its invocation, or
never.
"""
