"""Tests of the operating-point sweep."""
