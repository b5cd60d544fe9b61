"""Where a gang runs: the GPU model with the least predicted joules, on as few nodes as possible.

The first placement engine, kept behind one function (`place`) so that a better one can replace it alone. It
ranks the eligible GPU models by the job's objective among those fast enough, and packs the gang: one node
before two, a node in use before one that would have to be woken, the tightest fit before a loose one. It never
splits a gang over GPU models. What must hold: a returned placement covers every pod of the gang and fits into
the capacity that it was given.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ballast.api.conditions import Reason
from ballast.api.quantities import POWER
from ballast.api.trainingjob import Objective
from ballast.decide.capacity import Capacity, Eligible
from ballast.decide.gpu_models import GpuModel
from ballast.decide.resources import CPU, GPU, PODS, amount_of, shortage
from ballast.decide.snapshot import GangRequest, Node, Refusal
from ballast.decide.telling import pods


@dataclass(frozen=True, slots=True)
class Placement:
    """A node for every pod of a gang.

    Attributes:
        nodes: node name by pod index.
        gpu_model: None for a gang that trains on CPUs.
        predicted_watts: what the gang's GPUs are expected to draw together; None without GPUs.
        message: why this placement, in numbers.
    """

    nodes: tuple[str, ...]
    gpu_model: GpuModel | None
    predicted_watts: float | None
    message: str


def place(gang: GangRequest, capacity: Capacity) -> Placement | Refusal:
    """Choose nodes for the whole gang, or say in numbers why there are none.

    Nothing is reserved: the caller does that with the placement that it accepts.
    """
    eligible = capacity.eligible(gang)
    if not eligible.nodes:
        return Refusal(Reason.NO_ELIGIBLE_NODE, _no_eligible_node(len(capacity.nodes), eligible.excluded))
    if gang.avoid:
        elsewhere = eligible.without(gang.avoid)
        found = _place_on(gang, elsewhere, capacity) if elsewhere.nodes else None
        if isinstance(found, Placement):
            return found
    return _place_on(gang, eligible, capacity)


def nodes_to_hold(gang: GangRequest, capacity: Capacity) -> tuple[str, ...]:
    """Return the nodes that are nearest to taking the whole gang, to be kept clear until it fits.

    They are those with the most room now. As nothing else is placed there, their room only grows while running jobs
    end, so that the wait is bounded by those jobs, whatever else arrives.
    """
    eligible = capacity.eligible(gang)
    nodes = eligible.nodes
    if gang.gpus_per_pod:
        by_model = eligible.by_model.items()
        usable = {model: members for model, members in by_model if _fits_when_empty(gang, members, capacity)}
        nodes = usable[rank(gang, tuple(usable))[0]] if usable else []
    free, empty = capacity.copies(gang), capacity.copies_when_empty(gang)
    scarce = GPU if gang.gpus_per_pod else CPU

    def preference(node: Node) -> tuple[int, int, int, str]:
        # Of nodes that take equally many pods now, one that lacks little is nearer to the next one.
        return -free[node.name], -capacity.free(node).get(scarce, 0), -empty[node.name], node.name

    held: list[str] = []
    missing = gang.replicas
    for node in sorted(nodes, key=preference):
        if missing <= 0:
            break
        if empty[node.name]:
            held.append(node.name)
            missing -= empty[node.name]
    return tuple(held) if missing <= 0 else ()


def _place_on(gang: GangRequest, eligible: Eligible, capacity: Capacity) -> Placement | Refusal:
    if not gang.gpus_per_pod:
        return _place_on_cpus(gang, eligible.nodes, capacity)
    return _place_on_gpus(gang, eligible, capacity)


def _place_on_cpus(gang: GangRequest, eligible: list[Node], capacity: Capacity) -> Placement | Refusal:
    # CPU training on a GPU node keeps GPUs from being parked or used: those nodes come last.
    plain = [node for node in eligible if not node.allocatable.get(GPU)]
    for nodes in (plain, eligible):
        chosen = _pack(gang, nodes, capacity)
        if chosen is not None:
            where = _where(chosen)
            return Placement(chosen, None, None, f"{pods(gang.replicas)} on {where}")
    if not _fits_when_empty(gang, eligible, capacity):
        return _exceeds(gang, eligible)
    return Refusal(Reason.WAITING_FOR_CAPACITY, _cpu_shortage(gang, eligible, capacity))


def _place_on_gpus(gang: GangRequest, eligible: Eligible, capacity: Capacity) -> Placement | Refusal:
    by_model = eligible.by_model.items()
    usable = {model: nodes for model, nodes in by_model if _fits_when_empty(gang, nodes, capacity)}
    if not usable:
        return _exceeds(gang, eligible.nodes)
    ranked = rank(gang, tuple(usable))
    for model in ranked:
        chosen = _pack(gang, usable[model], capacity)
        if chosen is not None:
            return _placement(gang, chosen, model, tuple(usable))
    return _insufficient_gpus(gang, ranked, usable, capacity)


def rank(gang: GangRequest, models: Sequence[GpuModel]) -> list[GpuModel]:
    """Return the GPU models that are fast enough for the gang, the best for its objective first.

    Slowdown is counted against the fastest of `models` at its default power limit. `Balanced` minimizes the
    product of energy and delay (joules x seconds for the same work).
    """
    fastest = max(model.relative_speed for model in models)
    slowest_allowed = fastest / (1 + gang.max_slowdown_percent / 100)
    fast_enough = [m for m in models if m.relative_speed >= slowest_allowed * (1 - 1e-9)]

    def cost(model: GpuModel) -> tuple[float, str]:
        match gang.objective:
            case Objective.MINIMIZE_TIME:
                return 1 / model.relative_speed, model.name
            case Objective.BALANCED:
                return model.joules_per_work / model.relative_speed, model.name
            case _:
                return model.joules_per_work, model.name

    return sorted(fast_enough, key=cost)


def _pack(gang: GangRequest, nodes: Sequence[Node], capacity: Capacity) -> tuple[str, ...] | None:
    """Return a node name for each pod index, on as few nodes as a greedy choice finds, or None."""
    copies_on = capacity.copies(gang)
    room = [(copies_on[node.name], node) for node in nodes if copies_on[node.name] > 0]
    if sum(copies for copies, _ in room) < gang.replicas:
        return None
    assigned: list[str] = []
    while len(assigned) < gang.replicas:
        missing = gang.replicas - len(assigned)

        def preference(item: tuple[int, Node], missing: int = missing) -> tuple[int, bool, int, str]:
            copies, node = item
            taken = min(copies, missing)
            return -taken, not capacity.in_use(node), copies - taken, node.name

        best = min(room, key=preference)
        room.remove(best)
        assigned.extend([best[1].name] * min(best[0], missing))
    return tuple(assigned)


def _fits_when_empty(gang: GangRequest, nodes: Sequence[Node], capacity: Capacity) -> bool:
    copies_on = capacity.copies_when_empty(gang)
    return sum(copies_on[node.name] for node in nodes) >= gang.replicas


def _placement(gang: GangRequest, chosen: tuple[str, ...], model: GpuModel, models: tuple[GpuModel, ...]) -> Placement:
    gpus = gang.replicas * gang.gpus_per_pod
    watts = gpus * model.training_watts
    message = f"{gpus} {model.name} on {_where(chosen)}, predicted {POWER.human(watts)}"
    others = [other for other in models if other is not model]
    if others:
        other = min(others, key=lambda candidate: candidate.joules_per_work)
        percent = 100 * (model.joules_per_work / other.joules_per_work - 1)
        direction = "fewer" if percent < 0 else "more"
        message += f", {abs(percent):.0f} % {direction} joules for the same work than on {other.name}"
    return Placement(chosen, model, watts, message)


def _no_eligible_node(count: int, excluded: Counter[str]) -> str:
    if not count:
        return "the cluster has no nodes"
    causes = ", ".join(f"{number} {because}" for because, number in sorted(excluded.items()))
    return f"none of {count} nodes may run it: {causes}"


def _exceeds(gang: GangRequest, eligible: Sequence[Node]) -> Refusal:
    resource = _scarcest(gang, eligible)
    need = amount_of(resource, gang.resources.get(resource, 0))
    largest = amount_of(resource, max(node.allocatable.get(resource, 0) for node in eligible))
    total = amount_of(resource, sum(node.allocatable.get(resource, 0) for node in eligible))
    one_model = " with one GPU model" if resource == GPU else ""
    return Refusal(
        Reason.CLUSTER_TOO_SMALL,
        f"needs {pods(gang.replicas)} x {need}{one_model}: more than the {len(eligible)} eligible nodes hold even "
        f"when empty (largest node {largest}, all together {total})",
    )


def _insufficient_gpus(
    gang: GangRequest,
    ranked: Sequence[GpuModel],
    usable: dict[GpuModel, list[Node]],
    capacity: Capacity,
) -> Refusal:
    def free_of(model: GpuModel) -> str:
        free = [max(capacity.free(node).get(GPU, 0), 0) for node in usable[model]]
        total = sum(node.allocatable.get(GPU, 0) for node in usable[model])
        part = f"{model.name} {sum(free)} of {total} free, at most {max(free)} on one node"
        lacking = _lacking(gang, usable[model], capacity)
        del lacking[GPU]  # said already
        return ", ".join([part, *_short_of(lacking)])

    parts = [capacity.told((gang.constraints, gang.per_pod, model), partial(free_of, model)) for model in ranked]
    too_slow = sorted(model.name for model in usable if model not in ranked)
    message = f"needs {pods(gang.replicas)} x {amount_of(GPU, gang.gpus_per_pod)}; {'; '.join(parts)}"
    if too_slow:
        message += f"; {', '.join(too_slow)} slower than maxSlowdownPercent {gang.max_slowdown_percent:g} allows"
    message += capacity.held_because and f"; {capacity.held_because}"
    return Refusal(Reason.WAITING_FOR_CAPACITY, message)


def _cpu_shortage(gang: GangRequest, eligible: Sequence[Node], capacity: Capacity) -> str:
    causes = ", ".join(_short_of(_lacking(gang, eligible, capacity)))
    if not causes:
        causes = "all have room for some pods, too few for the gang"
    need = amount_of(CPU, gang.resources.get(CPU, 0))
    held = capacity.held_because and f"; {capacity.held_because}"
    return f"needs {pods(gang.replicas)} x {need}; of {len(eligible)} eligible nodes {causes}{held}"


def _lacking(gang: GangRequest, nodes: Sequence[Node], capacity: Capacity) -> Counter[str]:
    """Return for each resource on how many nodes it is what one more pod lacks; GPUs are blamed first."""
    request = {GPU: gang.gpus_per_pod, **gang.resources}
    lacking = (shortage(request, capacity.free(node)) for node in nodes)
    return Counter(resource for resource in lacking if resource is not None)


def _short_of(lacking: Counter[str]) -> list[str]:
    return [f"{count} short of {resource}" for resource, count in sorted(lacking.items())]


def _scarcest(gang: GangRequest, eligible: Sequence[Node]) -> str:
    """Return the requested resource of which the eligible nodes hold the fewest requests, GPUs before others."""

    def holds(resource: str) -> tuple[int, bool]:
        amount = gang.resources[resource]
        return sum(node.allocatable.get(resource, 0) // amount for node in eligible), resource != GPU

    requested = [resource for resource, amount in gang.per_pod if amount > 0]
    return min(requested, key=holds, default=PODS)


def _where(nodes: Sequence[str]) -> str:
    names = sorted(set(nodes))
    return names[0] if len(names) == 1 else f"{len(names)} nodes ({', '.join(names[:4])}{', …' * (len(names) > 4)})"
