"""Jobs that give up their room for others of higher priority, in a real cluster with simulated nodes."""
