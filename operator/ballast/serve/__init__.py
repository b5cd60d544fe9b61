"""What the operator tells the outside: metrics and health."""
