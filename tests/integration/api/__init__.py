"""Tests of the rendered CRDs against a real API server."""
