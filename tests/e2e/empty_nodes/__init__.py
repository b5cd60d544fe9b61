"""Agents on real nodes with simulated GPUs, in a real cluster."""
