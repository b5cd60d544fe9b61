"""The operating point of a running job: which there are, what it wishes, which is tried out, chosen and confirmed."""
