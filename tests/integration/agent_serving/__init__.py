"""Agents get certificates and tell pods by their tokens, with a real API server."""
