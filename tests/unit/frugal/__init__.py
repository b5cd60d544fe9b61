"""The trainer, one behaviour a file."""
