"""The agent: GPUs and CPUs metered, operating points set and restored."""
