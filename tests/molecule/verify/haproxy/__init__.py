"""Role haproxy."""
