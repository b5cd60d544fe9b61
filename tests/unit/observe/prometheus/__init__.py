"""Unit tests of the operator's layer `observe`."""
