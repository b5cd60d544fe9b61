"""Prometheus read back: what is asked, how, and what is made of the answers; they reach decisions as `Poll`s."""
