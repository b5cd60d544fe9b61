"""The chart, rendered and installed by a real helm."""
