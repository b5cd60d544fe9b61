"""`frugal sweep` as its users meet it, on boards of the simulated NVML."""
