"""After they were healed."""
