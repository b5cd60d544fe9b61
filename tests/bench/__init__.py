"""Benchmarks: `python -m tests.bench` prints one JSON object a line."""
