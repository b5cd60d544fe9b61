"""The bench's counters against other programs that read the same boards."""
