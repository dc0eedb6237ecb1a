"""Measurements that go into docs/benchmarks.md: never part of a pass or fail."""
