"""Where a gang runs: on the GPU model with the best of joules and time, on as few nodes as possible.

What it would do on each GPU model comes from `ballast.decide.prospects`, how long it would wait from
`ballast.decide.outlook`, and `ballast.decide.weighing` compares; this module finds the nodes and packs the gang: one
node before two, a node in use before one that would have to be woken, of those one that is marked as empty last,
because somebody may be about to switch it off, the tightest fit before a loose one. It never splits a gang over GPU
models. What must hold: a returned placement covers every pod of the gang and fits into the capacity that it was given.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from ballast.api.conditions import Reason
from ballast.api.quantities import POWER
from ballast.decide.capacity import Capacity, Eligible
from ballast.decide.gang_request import GangRequest
from ballast.decide.gpu_models import GpuModel
from ballast.decide.node import Node
from ballast.decide.options import Weighed
from ballast.decide.outlook import Outlook
from ballast.decide.resources import CPU, GPU, PODS, amount_of, shortage
from ballast.decide.snapshot import Refusal
from ballast.decide.telling import pods
from ballast.decide.weighing import Offer, Verdict, weigh, work_of


@dataclass(frozen=True, slots=True)
class Placement:
    """A node for every pod of a gang.

    Attributes:
        nodes: node name by pod index.
        gpu_model: None for a gang that trains on CPUs.
        predicted_watts: what the gang's GPUs are expected to draw together; None without GPUs.
        message: why this placement, in numbers.
        weighed: the options that there were; None where there were none to compare.
    """

    nodes: tuple[str, ...]
    gpu_model: GpuModel | None
    predicted_watts: float | None
    message: str
    weighed: Weighed | None = None


def place(gang: GangRequest, capacity: Capacity, outlook: Outlook | None = None) -> Placement | Refusal:
    """Choose nodes for the whole gang, or say in numbers why there are none, or why it is to wait for others.

    Nothing is reserved: the caller does that with the placement that it accepts.

    Args:
        gang: The gang.
        capacity: What is free.
        outlook: What is expected; None where nothing is known.
    """
    outlook = outlook or Outlook()
    eligible = capacity.eligible(gang)
    if not eligible.nodes:
        return Refusal(Reason.NO_ELIGIBLE_NODE, _no_eligible_node(len(capacity.nodes), eligible.excluded))
    if gang.avoid:
        elsewhere = eligible.without(gang.avoid)
        found = _place_on(gang, elsewhere, capacity, outlook) if elsewhere.nodes else None
        if isinstance(found, Placement):
            return found
    return _place_on(gang, eligible, capacity, outlook)


@dataclass(frozen=True, slots=True)
class Hold:
    """Nodes that are to be kept clear for a gang.

    Attributes:
        nodes: their names; none where there are too few, however long it takes.
        clear_at: when the gang will fit there, if nobody else comes; seconds since the epoch, infinite if nobody knows.
    """

    nodes: tuple[str, ...]
    clear_at: float


def nodes_to_hold(gang: GangRequest, capacity: Capacity, outlook: Outlook, waits_for: GpuModel | None) -> Hold:
    """Return the nodes that will take the whole gang first, to be kept clear until it fits.

    As nothing else is placed there that is not done by then, their room only grows while running jobs end, so that the
    wait is bounded by those jobs, whatever else arrives. Where nobody knows how long these take, the nodes are those
    with the most room now.

    Args:
        gang: The gang.
        capacity: What is free.
        outlook: What is expected.
        waits_for: The GPU model of the nodes; None for a gang that trains on CPUs.
    """
    eligible = capacity.eligible(gang)
    nodes = eligible.nodes if waits_for is None else eligible.by_model.get(waits_for, [])
    free, empty = capacity.copies(gang), capacity.copies_when_empty(gang)
    scarce = GPU if gang.gpus_per_pod else CPU

    def clear_at(node: Node) -> float:
        if not gang.gpus_per_pod:
            return math.inf
        copies = min(empty[node.name], gang.replicas)
        return outlook.clear_at(node.name, copies * gang.gpus_per_pod, capacity.free(node).get(GPU, 0))

    def preference(node: Node) -> tuple[float, int, int, int, str]:
        # Of nodes that take equally many pods now, one that lacks little is nearer to the next one.
        return clear_at(node), -free[node.name], -capacity.free(node).get(scarce, 0), -empty[node.name], node.name

    held: list[str] = []
    missing, ready = gang.replicas, 0.0
    for node in sorted(nodes, key=preference):
        if missing <= 0:
            break
        if empty[node.name]:
            held.append(node.name)
            missing -= empty[node.name]
            ready = max(ready, clear_at(node))
    return Hold(tuple(held), ready) if missing <= 0 else Hold((), math.inf)


def _place_on(gang: GangRequest, eligible: Eligible, capacity: Capacity, outlook: Outlook) -> Placement | Refusal:
    if not gang.gpus_per_pod:
        return _place_on_cpus(gang, eligible.nodes, capacity, outlook)
    return _place_on_gpus(gang, eligible, capacity, outlook)


def _place_on_cpus(
    gang: GangRequest, eligible: list[Node], capacity: Capacity, outlook: Outlook
) -> Placement | Refusal:
    # CPU training on a GPU node keeps GPUs from being parked or used: those nodes come last.
    plain = [node for node in eligible if not node.allocatable.get(GPU)]
    for nodes in (plain, eligible):
        chosen = _pack(gang, nodes, capacity, outlook)
        if chosen is not None:
            where = _where(chosen)
            return Placement(chosen, None, None, f"{pods(gang.replicas)} on {where}")
    if not _fits_when_empty(gang, eligible, capacity):
        return _exceeds(gang, eligible)
    return Refusal(Reason.WAITING_FOR_CAPACITY, _cpu_shortage(gang, eligible, capacity))


def _place_on_gpus(gang: GangRequest, eligible: Eligible, capacity: Capacity, outlook: Outlook) -> Placement | Refusal:
    usable = _usable(gang, eligible, capacity)
    if not usable:
        return _exceeds(gang, eligible.nodes)
    verdict = weigh(gang, _offers(gang, usable, capacity, outlook), outlook)
    taken = verdict.taken
    if taken.nodes is None:
        message = _why_waiting(gang, verdict, usable, capacity)
        return Refusal(Reason.WAITING_FOR_CAPACITY, message, verdict.weighed, taken.model)
    watts = gang.gpus * taken.prospect.watts
    return Placement(taken.nodes, taken.model, watts, _why_there(gang, taken, verdict.weighed), verdict.weighed)


def _usable(gang: GangRequest, eligible: Eligible, capacity: Capacity) -> dict[GpuModel, list[Node]]:
    """Return the nodes of those GPU models of which there are enough for the gang, if nothing else ran."""
    return {model: nodes for model, nodes in eligible.by_model.items() if _fits_when_empty(gang, nodes, capacity)}


def _offers(
    gang: GangRequest, usable: Mapping[GpuModel, Sequence[Node]], capacity: Capacity, outlook: Outlook
) -> list[Offer]:
    boards = {model: nodes[0].board for model, nodes in usable.items()}
    offers = []
    for prospect in outlook.prospects(gang, boards):
        model = prospect.gpu_model
        nodes = usable[model]
        done_at = outlook.now + work_of(gang, outlook)[0] * prospect.slowdown
        chosen = _pack(gang, nodes, capacity, outlook, done_at)
        fits_at = math.inf if chosen is not None else _fits_at(gang, model, nodes, capacity, outlook)
        joules = 0.0
        if outlook.policy.empty_nodes_go:
            joules = _node_joules(gang, nodes, chosen, capacity, outlook, done_at)
        offers.append(Offer(prospect, chosen, _node_count(gang, nodes, chosen, capacity), fits_at, joules))
    return offers


def _node_joules(
    gang: GangRequest,
    nodes: Sequence[Node],
    chosen: tuple[str, ...] | None,
    capacity: Capacity,
    outlook: Outlook,
    done_at: float,
) -> float:
    """Return what nodes draw idle because of a gang, where nodes that nobody uses would draw nothing.

    That is from when the last of the other jobs of each node is done, or from now, until the gang is; where it has to
    wait nobody knows yet who else will be there, and it counts with its share of a node.
    """
    if chosen is None:
        node = nodes[0]
        share = gang.gpus / max(node.allocatable.get(GPU, 0), 1)
        return share * _idle_watts(node, outlook) * (done_at - outlook.now)
    by_name = {node.name: node for node in nodes}
    return sum(
        _idle_watts(by_name[name], outlook) * _alone_seconds(by_name[name], capacity, outlook, done_at)
        for name in dict.fromkeys(chosen)
    )


def _idle_watts(node: Node, outlook: Outlook) -> float:
    idle = node.board.idle_watts if node.board is not None else node.gpu_model.idle_watts if node.gpu_model else 0.0
    return outlook.policy.node_base_watts + node.allocatable.get(GPU, 0) * idle


def _alone_seconds(node: Node, capacity: Capacity, outlook: Outlook, done_at: float) -> float:
    """Return how long a gang that is done at some time keeps a node on by itself."""
    until = outlook.busy_until(node.name)
    if capacity.in_use(node) and until <= outlook.now:  # by somebody of whom nobody knows when that ends
        return 0.0
    return max(done_at - until, 0.0)


def _fits_at(gang: GangRequest, model: GpuModel, nodes: Sequence[Node], capacity: Capacity, outlook: Outlook) -> float:
    """Return when a gang that does not fit now will; infinite if it lacks something else than GPUs."""
    free = capacity.free_gpus(nodes)
    if sum(gpus // gang.gpus_per_pod for gpus in free.values()) >= gang.replicas:
        return math.inf
    return outlook.fits_at(gang, model, free)


def _node_count(gang: GangRequest, nodes: Sequence[Node], chosen: tuple[str, ...] | None, capacity: Capacity) -> int:
    if chosen is not None:
        return len(set(chosen))
    empty = capacity.copies_when_empty(gang)
    return math.ceil(gang.replicas / max(empty[node.name] for node in nodes))


def _pack(
    gang: GangRequest, nodes: Sequence[Node], capacity: Capacity, outlook: Outlook, done_at: float = math.inf
) -> tuple[str, ...] | None:
    """Return a node name for each pod index, on as few nodes as a greedy choice finds, or None.

    Args:
        gang: The gang.
        nodes: Those that it may use.
        capacity: What is free.
        outlook: What is expected.
        done_at: When it will be done, seconds since the epoch: by then it may use what is held for somebody else.
    """
    copies_on = capacity.copies(gang, done_at)
    room = [(copies_on[node.name], node) for node in nodes if copies_on[node.name] > 0]
    if sum(copies for copies, _ in room) < gang.replicas:
        return None
    goes = outlook.policy.empty_nodes_go and math.isfinite(done_at)
    assigned: list[str] = []
    while len(assigned) < gang.replicas:
        missing = gang.replicas - len(assigned)

        def preference(item: tuple[int, Node], missing: int = missing) -> tuple[int, bool, bool, float, int, str]:
            copies, node = item
            taken = min(copies, missing)
            # Where empty nodes go, jobs that end together share a node: so it empties.
            alone = _alone_seconds(node, capacity, outlook, done_at) if goes else 0.0
            return -taken, not capacity.in_use(node), node.mark.says_empty, alone, copies - taken, node.name

        best = min(room, key=preference)
        room.remove(best)
        assigned.extend([best[1].name] * min(best[0], missing))
    return tuple(assigned)


def _fits_when_empty(gang: GangRequest, nodes: Sequence[Node], capacity: Capacity) -> bool:
    copies_on = capacity.copies_when_empty(gang)
    return sum(copies_on[node.name] for node in nodes) >= gang.replicas


def _why_there(gang: GangRequest, taken: Offer, weighed: Weighed) -> str:
    watts = gang.gpus * taken.prospect.watts
    message = f"{gang.gpus} {taken.model.name} on {_where(taken.nodes or ())}, predicted {POWER.human(watts)}"
    others = [f"{option.gpu_model}: {option.against}" for option in weighed.options[1:]]
    return "; ".join([message, *others])


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


def _why_waiting(gang: GangRequest, verdict: Verdict, usable: Mapping[GpuModel, list[Node]], capacity: Capacity) -> str:
    def free_of(model: GpuModel) -> str:
        free = [max(capacity.free(node).get(GPU, 0), 0) for node in usable[model]]
        total = sum(node.allocatable.get(GPU, 0) for node in usable[model])
        part = f"{model.name} {sum(free)} of {total} free, at most {max(free)} on one node"
        lacking = _lacking(gang, usable[model], capacity)
        lacking.pop(GPU, None)  # said already
        return ", ".join([part, *_short_of(lacking)])

    models = {model.name: model for model in usable}
    parts = []
    for option in verdict.weighed.options:
        model = models[option.gpu_model]
        free = capacity.told((gang.constraints, gang.per_pod, model), partial(free_of, model))
        parts.append(f"{free} ({option.against})")
    message = f"needs {pods(gang.replicas)} x {amount_of(GPU, gang.gpus_per_pod)}; {'; '.join(parts)}"
    message += capacity.held_because and f"; {capacity.held_because}"
    return message


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
