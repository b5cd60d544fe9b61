"""The embedded cluster: a real Kubernetes on one bare machine, for the demo and the tests.

A control plane of real components, simulated GPU nodes, and real nodes in namespaces of their own. From a shell:
`python -m tests.cluster --help`; from Python: `Cluster.for_checkout().up()`.
"""

from __future__ import annotations

from tests.cluster.cluster import Cluster
from tests.cluster.errors import ClusterError
from tests.cluster.gpu_nodes import GpuNode
from tests.cluster.real_gpus import RealGpus

__all__ = ["Cluster", "ClusterError", "GpuNode", "RealGpus"]
