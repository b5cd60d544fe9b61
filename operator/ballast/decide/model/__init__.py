"""What a workload does and draws at each power limit: what is assumed, and what readings make of it."""
