"""Unit tests of the simulated NVML, through the real `pynvml`."""
