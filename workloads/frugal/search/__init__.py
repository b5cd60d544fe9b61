"""Searches with energy as an objective: architectures, and stacks of techniques."""
