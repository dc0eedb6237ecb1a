"""Histories that something else recorded: read, paired, and judged by the checkers of `halab.consistency`.

`reading` turns a file into events, `pairing` events into operations, `judges` operations into what a checker wants;
`table` has the models, `command` what `halab check --import` does. docs/importing.md describes the format.
"""
