"""The trainer's one-line client."""
