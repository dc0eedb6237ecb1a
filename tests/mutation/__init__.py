"""Mutation of the checkers: each line that decides is broken, one at a time, and their tests have to notice.

`python -m tests.mutation [CHECKER ...]` names the lines that no test needs. `targets.toml` says which tests belong to
which modules, `equivalent/MODULE.toml` which changes of one make no difference, and why: `line` is the line of source,
without its indent, in the innermost `function` (empty outside of all); `what` is the change as it is reported.
"""
