"""Files that a simulation reads: clusters and jobs."""
