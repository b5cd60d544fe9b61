"""A pod's readings over TLS, to that pod only."""
