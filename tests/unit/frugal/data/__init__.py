"""Data sets: what comes along, what is installed, and what means nothing."""
