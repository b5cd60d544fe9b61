"""NVIDIA behind the vendor seam: the driver, its boards, their errors and values."""
