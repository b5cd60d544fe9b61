"""One decision cycle: from a frozen snapshot to the actions to take, in named steps.

Pure: the same snapshot gives the same actions. Steps that later features add stand between these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ballast.decide.actions import Action, ReleaseOrphan, ReleasePod, WriteProfile, WriteStatus
from ballast.decide.empty_nodes import mark
from ballast.decide.explaining import explain
from ballast.decide.gang_request import GangRequest
from ballast.decide.learning.learning import learn
from ballast.decide.life.lifecycle import advance
from ballast.decide.node_power import keep
from ballast.decide.preemption import preempt
from ballast.decide.queueing import admit
from ballast.decide.snapshot import Context, Lane, Refusal, Snapshot


@dataclass(frozen=True, slots=True)
class Decision:
    """What a cycle came to.

    Attributes:
        actions: to be carried out, the most urgent first; then those that let pods go, which nothing waits for.
        refused: requests that did not fit, with the reason: an input of the next cycle, for as long as nothing
            becomes free.
        held_for: UID of the job for which nodes are held until it fits, if there is one.
        held: the names of these nodes.
        complete: whether everything was decided; False if the limit on actions cut it off.
    """

    actions: tuple[Action, ...]
    refused: Mapping[GangRequest, Refusal]
    held_for: str | None
    complete: bool
    held: frozenset[str] = frozenset()


def decide(snapshot: Snapshot) -> Decision:
    """Return the actions of this cycle, at most `snapshot.max_actions`, and beside them as many that let pods go.

    What is cut off is decided again in a later cycle: nothing is lost, because every action follows from the
    state of the world.
    """
    nodes = {node.name: node for node in snapshot.nodes}
    # 1. What running jobs did is learned, before anything is decided by it.
    lessons = learn(snapshot.changed, snapshot.now)
    context = Context(
        snapshot.now,
        nodes,
        snapshot.policy,
        snapshot.telemetry_problem,
        snapshot.telemetry_asked_at,
        renewed={job.uid: why for job in snapshot.changed if (why := lessons.news_of(job)) is not None},
    )
    actions: list[Action] = []
    releases: list[Action] = [ReleaseOrphan(orphan) for orphan in snapshot.orphans]
    # 2. Jobs that hold something go on, so that it is used or freed before more is promised; what pods used is entered,
    #    and which operating point they are to have.
    for job in snapshot.changed:
        for action in advance(lessons.taught(job), context):
            (releases if isinstance(action, ReleasePod) else actions).append(action)
    actions.extend(lessons.writes)
    written = frozenset(action.job.metadata.uid for action in actions if isinstance(action, WriteStatus))
    # 3. Agents are told what the pods' GPUs are to have, before those pods can start.
    for view in snapshot.powers:
        actions.extend(keep(view, snapshot.policy))
    # 4. Waiting jobs are placed, in the order of the queue; one whose ledger is being written has its turn afterwards.
    queue = _without(snapshot, written)
    admitted = admit(queue, max(snapshot.max_actions - len(actions), 0))
    # 5. Where one found no room, running jobs of lower priority may have to give theirs up.
    preempted = preempt(queue, admitted)
    # 6. Nodes that they get lose the mark of empty ones before anybody hears of it; those that stay empty get it.
    marks = mark(snapshot, nodes, admitted.promised)
    actions.extend((*marks.taken_off, *admitted.writes, *marks.put_on, *preempted.writes))
    # 7. The others are told why they wait.
    explanations = explain(queue, admitted, preempted)
    room = min(max(snapshot.max_actions - len(actions), 0), snapshot.max_explanations)
    complete = len(actions) + len(explanations) < snapshot.max_actions and len(releases) <= snapshot.max_actions
    taken = actions[: snapshot.max_actions]
    if not complete:
        # The jobs are looked at again, with what was measured of them: that is to be entered once.
        taken = [action for action in taken if not isinstance(action, WriteProfile)]
    return Decision(
        actions=(*taken, *explanations[:room], *releases[: snapshot.max_actions]),
        refused=admitted.refused,
        held_for=admitted.held_for,
        complete=complete,
        held=admitted.held,
    )


def _without(snapshot: Snapshot, written: frozenset[str]) -> Snapshot:
    """Return the snapshot without those jobs whose status is written already; room is held for them all the same."""
    if snapshot.running or snapshot.claims:
        snapshot = replace(
            snapshot,
            running=tuple(job for job in snapshot.running if job.uid not in written),
            claims=tuple(
                replace(claim, is_settled=claim.is_settled and claim.job.uid not in written)
                for claim in snapshot.claims
            ),
        )
    if not any(job.uid in written for job in snapshot.changed if job.job.status.phase.is_waiting):
        return snapshot
    lanes = (Lane(lane.gang, tuple(job for job in lane.jobs if job.uid not in written)) for lane in snapshot.lanes)
    review = tuple(job for job in snapshot.review if job.uid not in written)
    return replace(snapshot, lanes=tuple(lane for lane in lanes if lane.jobs), review=review)
