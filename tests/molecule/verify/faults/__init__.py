"""Collection halab.faults."""
