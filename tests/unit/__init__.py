"""Tests of one module at a time: no cluster, no network."""
