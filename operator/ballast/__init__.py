"""Ballast: training on Kubernetes inside an energy budget."""
