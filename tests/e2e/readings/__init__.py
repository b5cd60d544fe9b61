"""What is told of a job's power, energy and progress, and what stays in its ledger whatever becomes of its pods."""
