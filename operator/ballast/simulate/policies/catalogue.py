"""The arms by name, for `--policy` and for experiment files.

What must hold: an arm is listed under the name that it gives itself, and each call makes a fresh one: policies
remember, and what one run taught must not help the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ballast.simulate.policies.backfill import EasyBackfill, GangBinpackBackfill
from ballast.simulate.policies.ballast import ballast, ballast_placement
from ballast.simulate.policies.briefing import Briefing
from ballast.simulate.policies.carbon_gate import CarbonGate
from ballast.simulate.policies.composites import fastest_first, pinned_to_fastest, pinned_to_fastest_with_margin
from ballast.simulate.policies.fifo import fifo_binpack, fifo_spread
from ballast.simulate.policies.per_job_limit import per_job_limit
from ballast.simulate.policies.static_cap import static_cap
from ballast.simulate.policies.throughput import MaxThroughput
from ballast.simulate.policy import Policy


@dataclass(frozen=True, slots=True)
class Arm:
    """A policy that can be asked for.

    Attributes:
        description: One line.
        make: Makes a fresh one.
    """

    description: str
    make: Callable[[Briefing], Policy]

    def __call__(self, briefing: Briefing) -> Policy:
        """Make a fresh one."""
        return self.make(briefing)


POLICIES: Mapping[str, Arm] = MappingProxyType(
    {
        "fifo-spread": Arm(
            "First come, first served, spread over nodes: kube-scheduler's defaults.",
            lambda given: fifo_spread(given.seed),
        ),
        "fifo-binpack": Arm(
            "First come, first served, packed onto few nodes: kube-scheduler with MostAllocated.",
            lambda given: fifo_binpack(given.seed),
        ),
        "gang-binpack-backfill": Arm(
            "Gangs, packed, passing over what does not fit, within 1.2 times the cluster: like Volcano.",
            lambda given: GangBinpackBackfill(given.seed),
        ),
        "easy-backfill": Arm(
            "Gangs, packed, with a reservation for the first that does not fit; told the durations: EASY.",
            lambda given: EasyBackfill(given.seed, given.speeds),
        ),
        "max-throughput": Arm(
            "The most work per second on unlike GPU models, in rounds of six minutes; told the speeds: like Gavel.",
            lambda given: MaxThroughput(given.seed, given.speeds),
        ),
        "static-cap": Arm(
            "Every GPU capped at 70 % of its maximum power limit, FIFO packed: like Joulie.",
            lambda given: static_cap(given.seed),
        ),
        "per-job-limit": Arm(
            "The limit of least joules within each job's slowdown, measured as it starts, FIFO packed: like Zeus.",
            lambda given: per_job_limit(given.seed),
        ),
        "fastest-first-per-job-limit": Arm(
            "The fastest GPU model that is free (told the speeds), then Zeus' limit for each job.",
            lambda given: fastest_first(given.seed, given.speeds),
        ),
        "pinned-to-fastest-per-job-limit": Arm(
            "Waits for the fastest GPU model (told the speeds), then Zeus' limit for each job.",
            lambda given: pinned_to_fastest(given.seed, given.speeds),
        ),
        "pinned-to-fastest-per-job-limit-margin": Arm(
            "The same with a margin of 3 % between what was measured and the slowdown.",
            lambda given: pinned_to_fastest_with_margin(given.seed, given.speeds),
        ),
        "carbon-gate": Arm(
            "Waits while the electricity is above 200 g/kWh, for at most a day, FIFO packed: like compute-gardener.",
            lambda given: CarbonGate(given.seed),
        ),
        "ballast-placement": Arm(
            "Ballast's own decisions on who runs where; GPUs keep the limit that was found.",
            lambda given: ballast_placement(empty_nodes_go=given.empty_nodes_go),
        ),
        "ballast": Arm(
            "Ballast's own decisions: who runs where, and at which power limit, learned while jobs run.",
            lambda given: ballast(given.priors, empty_nodes_go=given.empty_nodes_go),
        ),
        "ballast-told-durations": Arm(
            "The same, where users say how long their jobs take (energy.expectedDuration).",
            lambda given: ballast(given.priors, given.speeds, empty_nodes_go=given.empty_nodes_go),
        ),
    }
)
