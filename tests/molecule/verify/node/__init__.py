"""Role node."""
