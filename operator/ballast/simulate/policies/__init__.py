"""Policies to compare with, each as its authors describe it, and the operator's own decisions."""
