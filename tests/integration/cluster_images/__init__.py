"""Tests of the images with the real tools."""
