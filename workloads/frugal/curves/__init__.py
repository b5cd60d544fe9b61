"""Recorded learning curves: many small trainings of drawn settings, for whoever judges rules that stop early."""
