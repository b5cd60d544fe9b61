"""NVIDIA's GPUs by NVML: exact calls, units, privileges and errors."""
