"""The restore matrix: real processes over the real pynvml and simulated boards."""
