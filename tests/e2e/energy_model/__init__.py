"""What the operator learns of running jobs, and what it chooses by that, in a real cluster with simulated GPUs."""
