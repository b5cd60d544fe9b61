"""What the agent tells of the node: the NodePower's status, and metrics."""
