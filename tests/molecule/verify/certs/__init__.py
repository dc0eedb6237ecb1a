"""Role certs."""
