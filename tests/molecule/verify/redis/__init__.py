"""Role redis."""
