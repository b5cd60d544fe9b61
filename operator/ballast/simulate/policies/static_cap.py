"""One power limit for all GPUs, whoever uses them, on FIFO with bin-packing.

Joulie writes a cap into each node's profile, in percent of the GPUs' maximum, and its agent sets it on every GPU of the
node; its static policy splits the nodes into a performance part and an eco part. Here all nodes are eco, at the 70 % of
which operators of GPU clusters speak most often, and jobs are placed by bin-packing rather than by Joulie's own score.

What must hold: no GPU that runs a job is above the cap, nor below what its board takes.
"""

from __future__ import annotations

from ballast.errors import UserError
from ballast.simulate.job import TraceJob
from ballast.simulate.policies.fifo import Fifo
from ballast.simulate.policies.packing import Packer
from ballast.simulate.policy import SimNode

DEFAULT_SHARE = 0.7


def static_cap(seed: int, share: float = DEFAULT_SHARE) -> Fifo:
    """Make the arm.

    Args:
        seed: Of its chances.
        share: Of the maximum power limit.

    Raises:
        UserError: The share is not above 0 and at most 1.
    """
    if not 0 < share <= 1:
        raise UserError(f"share: {share}: give a share of the maximum power limit above 0 and at most 1, such as 0.7")

    def limit(job: TraceJob, node: SimNode) -> float:
        del job
        return max(node.min_limit_watts, share * node.max_limit_watts)

    return Fifo(
        "static-cap",
        f"Joulie (github.com/joulie-k8s/Joulie), static policy: every node capped at {share:.0%} of its GPUs' maximum "
        "power limit; FIFO and bin-packing",
        Packer(seed, spread=False),
        limit=limit,
    )
