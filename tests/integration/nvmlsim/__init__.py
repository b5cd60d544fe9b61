"""Simulated GPUs on real nodes: a real kubelet hands them out, containers load them, limits slow containers."""
