"""Tests of the API models, without a cluster."""
