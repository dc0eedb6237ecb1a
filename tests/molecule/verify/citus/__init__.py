"""Role citus."""
