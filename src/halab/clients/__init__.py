"""Clients of a cluster's components: one server at a time, a deadline for every call, no retries."""
