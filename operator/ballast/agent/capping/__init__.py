"""Operating points: what each GPU shall have, setting and restoring it, and when."""
