"""Properties of quantities, conditions and manifests."""
