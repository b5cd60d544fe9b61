"""Tests of Ballast, and the embedded cluster that they and the demo run on."""
