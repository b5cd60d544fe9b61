"""What the operator asks, and what a real Prometheus makes of it."""
