"""Tests of a few parts together with real counterparts, such as an API server."""
