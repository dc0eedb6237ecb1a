"""Clients that load a cluster and record what they were told."""
