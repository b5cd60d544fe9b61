"""Each technique's property, its refusals, and that it resumes."""
