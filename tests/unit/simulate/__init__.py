"""Tests of `ballast simulate`."""
