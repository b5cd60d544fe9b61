"""Searches with energy as an objective."""
