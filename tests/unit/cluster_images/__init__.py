"""Tests of the images and of how they get into a node."""
