"""While the faults act."""
