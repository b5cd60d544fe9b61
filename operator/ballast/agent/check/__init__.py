"""`ballast agent --check`: a look at a node that changes nothing."""
