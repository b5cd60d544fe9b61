"""The agent, one on each node: it meters GPUs and CPUs, attributes energy to pods, sets and restores operating points.

`device` is the vendor seam, `nvml` its first implementation. Of the operator it knows NodePower objects and a Lease.
"""
