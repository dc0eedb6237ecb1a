"""Machines that were removed."""
