"""What is known of nodes' NodePowers, and what the jobs on each node ask of its GPUs.

Incremental: a NodePower, a node's labels or a job's wish that changes marks its own node, and only marked nodes are
looked at in the next cycle. What must hold: while a write about a node is under way nothing else is decided about it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from ballast.api.finalreading import FinalReading, Joules
from ballast.api.labels import NODE_LABELS
from ballast.api.nodepower import InvalidNodePower, NodePower
from ballast.api.nodestatus import EndedPod, GpuStatus, NodePowerStatus
from ballast.decide.actions import NodeAction
from ballast.decide.gpu_asks import Ask, HeldGpu, NodeView
from ballast.decide.operating_point import reserved_watts
from ballast.observe.boards import Boards, in_common
from ballast.observe.timers import Timers, retry_delay

MAX_POD_JOULES = 1e15


class News(NamedTuple):
    """Whom a NodePower concerns that came in.

    Attributes:
        of_node: the jobs on the node, because its GPUs, what they are or who holds them changed, or its agent
            came.
        ended_pods: these pods, by UID: the agent says something new of what they used.
    """

    of_node: bool
    ended_pods: tuple[str, ...]


class NodePowers:
    """NodePowers and wishes by node.

    Args:
        kept: whether nodes have agents; without them nothing is ever looked at.
    """

    def __init__(self, kept: bool = True) -> None:
        self._kept = kept
        self._nodes: dict[str, tuple[str, tuple[tuple[str, str], ...]]] = {}  # name -> UID, labels
        self._powers: dict[str, NodePower] = {}
        self._boards: dict[str, Boards] = {}
        self._asks_of_job: dict[str, tuple[Ask, ...]] = {}
        self._asks_on_node: dict[str, dict[str, tuple[Ask, ...]]] = defaultdict(dict)  # node -> job -> asks
        self._held: dict[str, dict[str, tuple[HeldGpu, ...]]] = {}  # node -> pod -> GPUs
        self._ended: dict[str, dict[str, FinalReading]] = {}  # node -> pod -> what it used
        self._agents: set[str] = set()
        self._reserved: dict[str, float] = {}
        self._changed: dict[str, None] = {}
        self._under_way: set[str] = set()
        self._failures: dict[str, int] = {}
        self._rests = Timers()
        self._resting: set[str] = set()

    # -- what happened

    def put_node(self, node: Mapping[str, Any]) -> None:
        """Take in a node: its identity and Ballast's own labels."""
        metadata = node["metadata"]
        labels = metadata.get("labels") or {}
        seen = metadata["uid"], tuple((name, labels[name]) for name in sorted(NODE_LABELS) if name in labels)
        if self._nodes.get(metadata["name"]) != seen:
            self._nodes[metadata["name"]] = seen
            self._mark(metadata["name"])

    def remove_node(self, name: str) -> None:
        """Forget a node; its NodePower goes with it."""
        self._nodes.pop(name, None)
        self._changed.pop(name, None)
        self._reserved.pop(name, None)
        self._failures.pop(name, None)

    def put(self, obj: Mapping[str, Any]) -> News:
        """Take in a NodePower; return whom it concerns."""
        name = obj["metadata"]["name"]
        try:
            power = NodePower.parse(obj)
        except InvalidNodePower:  # somebody wrote past the schema: what is asked is written anew
            power = None
        if power is None:
            self._powers.pop(name, None)
        else:
            self._powers[name] = power
        status = power.status if power is not None else NodePowerStatus()
        before, spoke = (self._held.get(name, {}), self._boards.get(name)), self.has_agent(name)
        self._held[name] = _held(status)
        self._put_boards(name, in_common(status.gpus))
        if status.agent is not None:
            self._agents.add(name)
        else:
            self._agents.discard(name)
        told = self._ended.get(name, {})
        ended = {pod.uid: _reading(pod, told.get(pod.uid)) for pod in status.ended_pods}
        if ended:
            self._ended[name] = ended
        else:
            self._ended.pop(name, None)
        self._mark(name)
        return News(
            of_node=before != (self._held[name], self._boards.get(name)) or spoke != self.has_agent(name),
            ended_pods=tuple(uid for uid, reading in ended.items() if reading is not told.get(uid)),
        )

    def remove(self, name: str) -> None:
        """Take in that a NodePower is deleted."""
        self._powers.pop(name, None)
        self._held.pop(name, None)
        self._boards.pop(name, None)
        self._ended.pop(name, None)
        self._agents.discard(name)
        self._mark(name)

    def ask(self, job: str, asks: tuple[Ask, ...]) -> None:
        """Set what a job asks, in place of what it asked before."""
        before = self._asks_of_job.get(job, ())
        if before == asks:
            return
        for node in {each.node for each in before}:
            self._asks_on_node[node].pop(job, None)
            if not self._asks_on_node[node]:
                del self._asks_on_node[node]
        for node in {each.node for each in asks}:
            self._asks_on_node[node][job] = tuple(each for each in asks if each.node == node)
        for each in (*before, *asks):
            self._mark(each.node)
        if asks:
            self._asks_of_job[job] = asks
        else:
            self._asks_of_job.pop(job, None)

    # -- what the operator does

    def assume(self, action: NodeAction) -> None:
        """Count a write as under way."""
        self._under_way.add(action.node)

    def settle(self, action: NodeAction) -> None:
        """Take in that a write is done."""
        self._under_way.discard(action.node)
        self._failures.pop(action.node, None)
        self._mark(action.node)

    def reject(self, action: NodeAction, now: float) -> None:
        """Take in that a write failed; its node rests for a while, longer each time."""
        self._under_way.discard(action.node)
        failures = self._failures.get(action.node, 0)
        self._failures[action.node] = failures + 1
        self._resting.add(action.node)
        self._rests.set(action.node, now + retry_delay(failures))

    # -- what the control loop and others read

    def views(self, now: float) -> tuple[NodeView, ...]:
        """Return the nodes to look at, and mark them as seen."""
        for name in self._rests.pop_due(now):
            self._resting.discard(name)
            self._mark(name)
        names = [name for name in self._changed if name not in self._under_way and name not in self._resting]
        views = []
        for name in names:
            del self._changed[name]
            if name in self._nodes:
                uid, labels = self._nodes[name]
                views.append(NodeView(name, uid, labels, self._powers.get(name), self._asks(name)))
        return tuple(views)

    def look_again(self, views: Iterable[NodeView]) -> None:
        """Put nodes back, because the cycle's actions were cut off."""
        for view in views:
            self._mark(view.name)

    def next_due(self) -> float | None:
        """Return when a node has rested enough, in seconds since the epoch; None if none rests."""
        return self._rests.next()

    def held(self, node: str, pod: str) -> tuple[HeldGpu, ...]:
        """Return the GPUs that a node's agent has seen a pod hold."""
        return self._held.get(node, {}).get(pod, ())

    def boards(self, node: str) -> Boards | None:
        """Return what all GPUs of a node have in common; None while its agent tells of none."""
        return self._boards.get(node)

    def gpus(self, node: str) -> Mapping[str, GpuStatus]:
        """Return the GPUs of a node by UUID, as its agent tells of them."""
        power = self._powers.get(node)
        return {gpu.uuid: gpu for gpu in power.status.gpus} if power is not None else {}

    def has_agent(self, node: str) -> bool:
        """Return whether a node's agent has told of itself, so that it will tell what pods used that end there."""
        return node in self._agents

    def word(self, node: str, pod: str) -> FinalReading | None:
        """Return what a node's agent says that a pod used which has ended there; None while it says nothing."""
        return self._ended.get(node, {}).get(pod)

    def reserved_watts(self) -> float:
        """Return the most that all GPUs with an agent may draw, what is not confirmed yet included."""
        return sum(self._reserved.values())

    def _put_boards(self, node: str, boards: Boards | None) -> None:
        if boards is not None:
            self._boards[node] = boards
        else:
            self._boards.pop(node, None)

    def _asks(self, node: str) -> tuple[Ask, ...]:
        return tuple(ask for asks in self._asks_on_node.get(node, {}).values() for ask in asks)

    def _mark(self, node: str) -> None:
        if not self._kept or node not in self._nodes:
            return
        self._changed[node] = None
        power = self._powers.get(node)
        gpus = power.status.gpus if power is not None else ()
        asked = {ask.pod_uid: ask.power_limit_watts for ask in self._asks(node)}
        entries = power.spec.pods if power is not None else ()
        told = {entry.uid: entry.operating_point.power_limit_watts for entry in entries}
        self._reserved[node] = sum(_reserved(gpu, asked, told) or 0.0 for gpu in gpus)


def _reserved(gpu: GpuStatus, asked: Mapping[str, float | None], told: Mapping[str, float | None]) -> float | None:
    """Return the most that a GPU may draw, by what its pods ask for and by what its agent was told of them.

    The two differ while a write is under way, and after one that failed: the agent goes by what it was told.
    """
    if not any(holder.uid in asked for holder in gpu.holders):
        return reserved_watts(gpu, [])
    wanted = [asked.get(holder.uid) for holder in gpu.holders]
    return reserved_watts(gpu, [*wanted, *(told[holder.uid] for holder in gpu.holders if holder.uid in told)])


def _held(status: NodePowerStatus) -> dict[str, tuple[HeldGpu, ...]]:
    held: dict[str, tuple[HeldGpu, ...]] = defaultdict(tuple)
    for gpu in status.gpus:
        enforced = gpu.enforced.operating_point if gpu.enforced is not None else None
        found = gpu.power_limit.found_watts if gpu.power_limit is not None else None
        pods = dict.fromkeys(holder.uid for holder in gpu.holders)
        for uid in pods:
            held[uid] = (*held[uid], HeldGpu(gpu.uuid, found, enforced, gpu.problem, shared=len(pods) > 1))
    return dict(held)


def _reading(pod: EndedPod, known: FinalReading | None) -> FinalReading:
    if known is not None and known.at == pod.at.timestamp():
        return known
    joules = {each.component: Joules(each.active_joules, each.idle_joules, each.source) for each in pod.used}
    # What no pod can have used would make a sum that no status can hold, and keep the pod.
    believed = {name: used for name, used in joules.items() if used.total <= MAX_POD_JOULES}
    return FinalReading(pod.at.timestamp(), believed, is_last=True)
