"""Joules: of GPUs, CPUs and memory, and whose they are."""
