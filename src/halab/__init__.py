"""Stand up a highly available PostgreSQL stack, break it on purpose, and prove from recorded histories what held."""

__version__ = "0.1.0"
