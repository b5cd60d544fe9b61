"""The node's side of the simulated NVML: load, quotas, device plugin, daemon."""
