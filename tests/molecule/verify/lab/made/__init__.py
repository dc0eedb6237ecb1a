"""Machines that were made."""
