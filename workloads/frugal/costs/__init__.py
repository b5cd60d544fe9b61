"""What a computation costs by its shape alone: counted on any machine, measured on none."""
