"""The stairwell: runs playbooks and the recorder in order and owns the run folder.

Of components it knows only whom to ask which machine a target means (`selectors`).
"""
