"""Metering: joules of boards and CPUs, and whose they are."""
