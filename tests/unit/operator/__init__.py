"""Unit tests of what composes the operator: control loop, failpoints, settings."""
