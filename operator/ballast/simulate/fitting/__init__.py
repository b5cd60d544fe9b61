"""Fits to published measurements: where the operator's own priors come from."""
