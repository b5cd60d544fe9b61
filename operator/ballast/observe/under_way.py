"""What the operator assumes of its own actions that the world does not show yet.

What must hold: an action in flight is *assumed* to have happened until its answer is there, so that a stale cache never
places a job twice; when it fails the assumption is dropped, and whatever it was about rests a little, longer each time,
before it is decided again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ballast.decide.actions import (
    Action,
    AskForRefusal,
    MarkNode,
    NodeAction,
    ReleaseOrphan,
    ReleasePod,
    Transition,
    WriteProfile,
    WriteStatus,
)
from ballast.observe.empty_nodes import EmptyNodes
from ballast.observe.energy_profiles import EnergyProfiles
from ballast.observe.held_pods import HeldPods
from ballast.observe.job_records import JobRecords
from ballast.observe.measurements import Measurements
from ballast.observe.node_powers import NodePowers
from ballast.observe.pace import Pace
from ballast.observe.parsing import JsonObject, refusal
from ballast.observe.timers import retry_delay


@dataclass(frozen=True, slots=True)
class ActionsUnderWay:
    """Tells those whom an action concerns what became of it: a job's record, a node, a profile, or a pod that goes.

    Each method returns the UIDs of the jobs that are to be looked at anew.
    """

    records: JobRecords
    powers: NodePowers
    profiles: EnergyProfiles
    measurements: Measurements
    held_pods: HeldPods
    pace: Pace
    empty_nodes: EmptyNodes

    def assume(self, action: Action) -> tuple[str, ...]:
        """Count an action as done while it is under way."""
        if isinstance(action, NodeAction):
            self.powers.assume(action)
            return ()
        if isinstance(action, MarkNode):
            self.empty_nodes.assume(action)
            return ()
        if isinstance(action, WriteProfile):
            self.profiles.assume(action)
            return ()
        if isinstance(action, (ReleasePod, ReleaseOrphan)):
            self.held_pods.begins(released(action))
            return ()
        if isinstance(action, WriteStatus) and action.transition is Transition.ADMIT:
            self.empty_nodes.promise(place.node for place in action.status.placement)
        uid = action.job.metadata.uid
        self.records.of(uid).assume(action)
        return (uid,)

    def settle(self, action: Action, answers: Iterable[JsonObject], now: float) -> tuple[str, ...]:
        """Take in that an action is done.

        Args:
            action: the action.
            answers: objects as they are now.
            now: seconds since the epoch.
        """
        if isinstance(action, NodeAction):
            self.powers.settle(action)
            return ()
        if isinstance(action, MarkNode):
            self.empty_nodes.settle(action)
            return ()
        if isinstance(action, WriteProfile):
            self.measurements.may_enter(self.profiles.settle(action))
            return ()
        if isinstance(action, (ReleasePod, ReleaseOrphan)):
            self.held_pods.is_done(released(action))
            return ()
        uid = action.job.metadata.uid
        record = self.records.of(uid)
        if isinstance(action, AskForRefusal):
            record.refused_pods = record.latest_attempt, refusal(answers)
        elif isinstance(action, WriteStatus) and action.transition is Transition.ADMIT:
            self.pace.count(record.gang.size if record.gang is not None else 1, now)
        record.drop_assumption(action)
        record.failures = 0
        return (uid,)

    def reject(self, action: Action, now: float, invalid: str | None, forbidden: str | None) -> tuple[str, ...]:
        """Take in that an action failed.

        Args:
            action: the action.
            now: seconds since the epoch.
            invalid: what the API server said, if it will never do it.
            forbidden: what it said, if it won't do it as things are.
        """
        if isinstance(action, NodeAction):
            self.powers.reject(action, now)
            return ()
        if isinstance(action, MarkNode):
            self.empty_nodes.reject(action, now)
            return ()
        if isinstance(action, WriteProfile):
            self.profiles.reject(action, now)
            return ()
        if isinstance(action, (ReleasePod, ReleaseOrphan)):
            self.held_pods.failed(released(action), now)
            return ()
        uid = action.job.metadata.uid
        record = self.records.of(uid)
        record.reject(action, invalid, forbidden)
        record.rests_until = now + retry_delay(record.failures)
        record.failures += 1
        return (uid,)


def released(action: ReleasePod | ReleaseOrphan) -> str:
    """Return the UID of the pod that is let go."""
    return action.orphan.uid if isinstance(action, ReleaseOrphan) else action.pod_uid
