"""Unit tests of the simulator's optimum and lower bound."""
