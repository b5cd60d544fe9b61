"""Commands for people: they read what Ballast has decided, and change nothing."""
