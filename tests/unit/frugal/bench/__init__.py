"""What a computation costs by its shape."""
