"""What each technique saves here: trials against a paired baseline, in joules and accuracy."""
