"""The stairwell: runs playbooks and the recorder in order and owns the run folder. It knows no component."""
