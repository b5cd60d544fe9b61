"""`ballast agent --check`: what it finds, how it judges, and that it changes nothing."""
