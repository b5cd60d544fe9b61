"""Tests of the manifests that users start from, and of what is written about them."""
