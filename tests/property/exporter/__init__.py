"""Guarantees of the exporter."""
