"""The whole system on the embedded cluster: what a user does, and what goes wrong in between."""
