"""Operating-point sweep: what power limits and locked clocks of a GPU save, and cost in time, for one workload."""
