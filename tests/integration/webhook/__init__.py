"""The webhook, called by a real API server."""
