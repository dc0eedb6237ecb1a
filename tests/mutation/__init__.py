"""Mutation of the checkers: each line that decides is broken, one at a time, and their tests have to notice.

`python -m tests.mutation [CHECKER ...]` names the lines that no test needs. `targets.toml` says which tests belong to
which modules, `equivalent.toml` which changes make no difference, and why.
"""
