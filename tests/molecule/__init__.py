"""Scenarios of molecule, run one after the other on one set of machines."""
