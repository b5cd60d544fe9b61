"""Properties of bounds, of arms, and of the cluster in memory that the operator's own arm decides in."""
