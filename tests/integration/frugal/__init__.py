"""The trainer as a process: signals, torchrun, restricted containers."""
