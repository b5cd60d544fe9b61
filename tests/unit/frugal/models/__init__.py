"""The published architectures."""
