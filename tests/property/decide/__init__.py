"""Properties of placement and queueing."""
