"""The discrete-event engine: what happens to jobs, nodes and joules when a policy decides; and what came of it."""
