"""Each method alone, without a training around it."""
