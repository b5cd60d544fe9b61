"""Policies side by side on the same jobs, each in a process of its own, held against the rules of the harness."""
