"""Properties of metering (G4)."""
