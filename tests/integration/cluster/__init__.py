"""Tests of the embedded cluster on throw-away clusters."""
