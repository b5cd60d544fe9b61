"""Guarantees of the agent."""
