"""Tests of the embedded cluster's parts, without a cluster."""
