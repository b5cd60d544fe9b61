"""Tests of the recording of learning curves."""
