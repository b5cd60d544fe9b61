"""Unit tests of the operator's layer `serve`."""
