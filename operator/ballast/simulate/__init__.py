"""`ballast simulate`: the same jobs under several policies, on a cluster that exists only as a file."""
