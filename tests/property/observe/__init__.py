"""Properties of the operator over any history of its world."""
