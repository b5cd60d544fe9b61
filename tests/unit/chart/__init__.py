"""Unit tests of the chart's files."""
