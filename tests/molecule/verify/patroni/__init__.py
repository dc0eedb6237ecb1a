"""Role patroni."""
