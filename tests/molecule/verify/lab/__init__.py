"""Collection halab.lab."""
