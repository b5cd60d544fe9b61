"""The one place where Ballast changes the world: actions in, API requests out."""
