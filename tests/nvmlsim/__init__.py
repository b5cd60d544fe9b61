"""A simulated NVML: the library that the real `pynvml` loads, and the physics behind it (README.md)."""
