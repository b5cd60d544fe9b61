"""The operator's reads and writes against a real API server, one mechanism at a time."""
