"""The process that loads and observes a cluster and writes the history of a run: `python -m halab.recorder RUN_DIR`.

It is a process of its own so that nothing the driver does (playbooks, terminals) disturbs its clock. Commands come as
JSON lines on standard input, answers and a status once a second go to standard output; see `halab.recorder.commands`.
"""
