"""The exporter: what a pod draws, how far its training is, and its last words."""
