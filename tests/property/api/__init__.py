"""Properties of quantities and conditions."""
