"""Lets a node's containers have their CPU before anything else on the machine has more than a little.

A trainer that gets less than its quota lets its board idle, which is no property of its workload. Quotas bound what a
node's containers use all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster.cgroups import CGROUP_ROOT, is_v2
from tests.cluster.node import RealNode
from tests.nvmlsim.layout import CONFIG_FILE, GpuNodeConfig

MOST_SHARES = "262144"
MOST_WEIGHT = "10000"


@contextmanager
def preferred(node: RealNode) -> Iterator[None]:
    """Give a node with simulated GPUs the largest weight that there is; afterwards what it had."""
    group = GpuNodeConfig.load(node.folder / CONFIG_FILE).control_group
    v2 = is_v2(CGROUP_ROOT)
    file = CGROUP_ROOT / group / "cpu.weight" if v2 else CGROUP_ROOT / "cpu" / group / "cpu.shares"
    before = file.read_text()
    file.write_text(MOST_WEIGHT if v2 else MOST_SHARES)
    try:
        yield
    finally:
        file.write_text(before)
