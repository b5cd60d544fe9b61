"""A cluster in memory around the operator's own decisions: its API server, Job controller, scheduler and nodes.

It feeds `observe`'s `ClusterState`, the same that the operator feeds from watches, and carries out what `decide` makes
of its snapshots; so what is simulated is what ships, parsing of objects, reservations, lanes and timers included. Only
what stands between the two in a cluster is made up: every write succeeds at once, a pod runs in the moment in which it
loses its gate, an agent sets limits in no time, and pods have no exporter, so that nobody waits for their last words.
Waiting jobs are never told why they wait: those writes decide nothing, and nobody reads them.

Between two events nothing is decided. The operator also looks every few seconds, but a cycle comes to something new
only if something ended, came or is due: nodes that are held for a job which has waited long enough are held from the
next event on, and until then nobody could have taken them.

What must hold: a gang runs whole, on the nodes that its placement names, or not at all.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn

from ballast.api.energyprofile import EnergyProfile
from ballast.api.trainingjob import InvalidTrainingJob
from ballast.decide.actions import (
    Action,
    CreateObjects,
    Expire,
    LabelNode,
    StopAttempt,
    Ungate,
    WriteNodePower,
    WriteStatus,
)
from ballast.decide.cycle import decide
from ballast.decide.gpu_models import gpu_model as gpu_model_of
from ballast.decide.model.prediction import GpuRange
from ballast.decide.model.prior import PRIOR, Prior
from ballast.decide.points.slowdown import slowdown_left_percent
from ballast.decide.policy import Policy
from ballast.decide.prospects import prospects
from ballast.errors import BallastError
from ballast.observe.cluster_state import ClusterState, Kind
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SimNode
from ballast.simulate.world import objects
from ballast.simulate.world.machine import Machine
from ballast.simulate.world.objects import EPOCH, Gang, JsonObject, promised_slowdown_percent

MAX_ACTIONS: Final = 256
"""What the operator's executor has in flight at most."""
MAX_CYCLES: Final = 10_000
"""Of one moment: a job needs about five, and each cycle takes all jobs a step further."""


class Restless(BallastError):
    """Decisions of one moment came to no end: they contradict each other, or the world that they are told of."""


@dataclass(slots=True)
class _Submitted:
    """A job of the trace, and what exists of it.

    Attributes:
        manifest: The TrainingJob.
        attempt: The number of its latest attempt; 0 before the first.
        workload: That attempt's `batch/v1` Job.
        pods: That attempt's, by UID.
    """

    job: TraceJob
    gang: Gang
    manifest: JsonObject
    attempt: int = 0
    workload: JsonObject | None = None
    pods: dict[str, JsonObject] = field(default_factory=dict)

    @property
    def nodes(self) -> dict[str, int]:
        """GPUs that it holds, by node name."""
        held: Counter[str] = Counter()
        for pod in self.pods.values():
            if "nodeName" in pod["spec"]:
                held[pod["spec"]["nodeName"]] += self.gang.gpus
        return dict(held)

    @property
    def has_ended(self) -> bool:
        """Whether its trainers have ended, so that it holds nothing."""
        return any(pod["status"]["phase"] == "Succeeded" for pod in self.pods.values())

    @property
    def runs(self) -> bool:
        """Whether all its pods do."""
        return len(self.pods) == self.gang.pods and all("nodeName" in pod["spec"] for pod in self.pods.values())


@dataclass(frozen=True, slots=True)
class Moment:
    """What came of the decisions of one moment.

    Attributes:
        stopped: Jobs that lost their GPUs though they were not done, by name.
        started: By name, on what each job began to run: GPUs by node name.
    """

    stopped: tuple[str, ...]
    started: Mapping[str, Mapping[str, int]]


class World:
    """See the module's docstring.

    Args:
        nodes: The cluster.
        policy: The admin's choices; by default the operator's own, with agents on the nodes.
        priors: By kind, what the energy model assumes in place of its own prior.

    Raises:
        UserError: A node is none that a cluster would take.
    """

    def __init__(
        self, nodes: Iterable[SimNode], policy: Policy | None = None, priors: Mapping[str, Prior] | None = None
    ) -> None:
        self.now = 0.0
        self._version = 0
        self._machines = {node.name: Machine(node) for node in nodes}
        self._state = ClusterState(
            clock=lambda: EPOCH + self.now,
            policy=policy or Policy(agents=True),
            on_invalid=_refuse,
            priors={objects.key_of(kind): prior for kind, prior in (priors or {}).items()},
        )
        self._jobs: dict[str, _Submitted] = {}  # by the TrainingJob's UID
        self._uids: dict[str, str] = {}  # by the trace's name
        self._priors = dict(priors or {})
        self._profiles: dict[str, dict[str, EnergyProfile]] = {}  # by kind and GPU model
        self._count = 0
        self._held_for: str | None = None
        self._stopped: list[str] = []
        self._started: dict[str, dict[str, int]] = {}
        for machine in self._machines.values():
            self._state.observe(Kind.NODE, objects.node(machine.node, {}, self._next_version()))

    # -- what happens ---------------------------------------------------------------------------------------------

    def submit(self, job: TraceJob, expected_seconds: float | None = None) -> None:
        """Let somebody create a job's TrainingJob now.

        Args:
            job: The job.
            expected_seconds: How long that person says that it takes; None for nothing.

        Raises:
            UserError: The job asks for something that no TrainingJob can say.
        """
        gang = Gang.of(job, [machine.node for machine in self._machines.values()])
        # By the order of submission: of two jobs of the same second, the queue takes the one whose name comes first.
        self._count += 1
        manifest = objects.training_job(
            job, gang, f"job-{self._count:08d}", self.now, self._next_version(), expected_seconds
        )
        uid = manifest["metadata"]["uid"]
        self._jobs[uid] = _Submitted(job, gang, manifest)
        self._uids[job.name] = uid
        self._state.observe(Kind.TRAINING_JOB, manifest)

    def end(self, name: str) -> None:
        """Let all trainers of a running job exit with 0 now."""
        with self._state.at_once():
            self._end(self._jobs[self._uids[name]])

    def _end(self, submitted: _Submitted) -> None:
        touched = self._give_back(submitted)
        for uid, pod in submitted.pods.items():
            submitted.pods[uid] = objects.ended_pod(pod, self.now, self._next_version())
            self._state.observe(Kind.POD, submitted.pods[uid])
        if submitted.workload is not None:
            submitted.workload = objects.complete_workload(submitted.workload, self._next_version())
            self._state.observe(Kind.JOB, submitted.workload)
        for node in touched:
            self._state.observe(Kind.NODE_POWER, self._machines[node].power(self._next_version()))

    def report(self, name: str, seconds_left: float) -> None:
        """Let the trainer of a running job say how long it runs on."""
        submitted = self._jobs[self._uids[name]]
        metadata = {**submitted.manifest["metadata"], "resourceVersion": str(self._next_version())}
        status = {**submitted.manifest["status"], "progress": objects.progress(seconds_left, self.now)}
        submitted.manifest = {**submitted.manifest, "metadata": metadata, "status": status}
        self._state.observe(Kind.TRAINING_JOB, submitted.manifest)

    def learn(self, kind: str, gpu_model: str, points: Sequence[objects.Point]) -> None:
        """Let the energy profile of a kind of jobs on a GPU model say what was measured."""
        profile = objects.energy_profile(kind, gpu_model, points, self._next_version())
        self._profiles.setdefault(kind, {})[gpu_model] = EnergyProfile.parse(profile)
        self._state.observe(Kind.ENERGY_PROFILE, profile)

    def somebody_deletes_the_workload(self, name: str) -> None:
        """Let the `batch/v1` Job of a job be deleted by hand, with its pods."""
        self._take_workload(self._jobs[self._uids[name]])

    def slowdown_left_percent(self, job: TraceJob, gpu_model: str) -> float:
        """Return what a job's power limit may cost of its time on a GPU model, by what has been learned so far."""
        nodes = {machine.node.gpu_model: machine.node for machine in self._machines.values()}
        gang = Gang.of(job, [machine.node for machine in self._machines.values()])
        usable = gang.models_of(machine.node for machine in self._machines.values())
        boards = {gpu_model_of(name): _range(nodes[name]) for name in sorted(usable | {gpu_model})}
        promised = promised_slowdown_percent(job)
        known = tuple(self._profiles.get(job.kind, {}).values())
        found = prospects(boards, job.gpus, promised, known, self._priors.get(job.kind, PRIOR), is_tuned=False)
        own = next(each for each in found if each.gpu_model == gpu_model_of(gpu_model))
        return slowdown_left_percent(promised, max(own.model_slowdown, 1.0))

    # -- what is decided ------------------------------------------------------------------------------------------

    def settle(self) -> Moment:
        """Run cycles until `decide` has nothing more to say at this moment.

        Raises:
            Restless: There is no end of it.
        """
        for _ in range(MAX_CYCLES):
            if not self._cycle():
                break
        else:
            raise Restless(f"{EPOCH + self.now:.0f}: {MAX_CYCLES} cycles at one moment; the last still had actions")
        moment = Moment(tuple(self._stopped), self._started)
        self._stopped, self._started = [], {}
        return moment

    def next_due(self) -> float | None:
        """Return when time alone calls for a cycle, in seconds since the trace began; None if it never does."""
        seconds = self._state.seconds_to_next_due()
        return None if seconds is None else self.now + seconds

    def _cycle(self) -> bool:
        """Run one cycle; return whether another may come to more."""
        snapshot = self._state.snapshot(EPOCH + self.now, MAX_ACTIONS, max_explanations=0)
        decision = decide(snapshot)
        self._state.remember(decision.refused, decision.held_for)
        with self._state.at_once():
            for action in decision.actions:
                # Nobody looks between its beginning and its end: it need not be assumed meanwhile.
                self._state.settle(action, self._carry_out(action))
        if not decision.complete:
            self._state.look_again(snapshot)
        holds_others = decision.held_for != self._held_for
        self._held_for = decision.held_for
        return bool(decision.actions) or holds_others or not decision.complete

    # -- the API server and the controllers -----------------------------------------------------------------------

    def _carry_out(self, action: Action) -> list[tuple[str, JsonObject]]:
        """Do what an action says; return the objects that it changed, with their kinds."""
        match action:
            case WriteStatus():
                submitted = self._jobs[action.job.metadata.uid]
                metadata = {**submitted.manifest["metadata"], "resourceVersion": str(self._next_version())}
                status = action.status.to_manifest()
                submitted.manifest = {**submitted.manifest, "metadata": metadata, "status": status}
                return [(Kind.TRAINING_JOB, submitted.manifest)]
            case CreateObjects():
                return self._create(self._jobs[action.job.metadata.uid], action.attempt)
            case Ungate():
                return self._bind(self._jobs[action.job.metadata.uid], action.pod_uid, action.node)
            case StopAttempt():
                self._take_workload(self._jobs[action.job.metadata.uid])
                return []
            case Expire():
                self._expire(action.job.metadata.uid)
                return []
            case WriteNodePower():
                self._machines[action.node].obey(action.spec, self.now)
                return [(Kind.NODE_POWER, self._machines[action.node].power(self._next_version()))]
            case LabelNode():
                node = self._machines[action.node].node
                return [(Kind.NODE, objects.node(node, dict(action.labels), self._next_version()))]
            case _:
                # Pods are never refused here, and never held for a ledger.
                raise BallastError(f"the simulated cluster knows nothing of {type(action).__name__}")

    def _create(self, submitted: _Submitted, attempt: int) -> list[tuple[str, JsonObject]]:
        submitted.attempt = attempt
        submitted.workload = objects.workload(submitted.manifest, attempt, self._next_version())
        for index in range(submitted.gang.pods):
            pod = objects.gated_pod(submitted.manifest, attempt, index, self._next_version())
            submitted.pods[pod["metadata"]["uid"]] = pod
        return [(Kind.JOB, submitted.workload), *((Kind.POD, pod) for pod in submitted.pods.values())]

    def _bind(self, submitted: _Submitted, pod_uid: str, node: str) -> list[tuple[str, JsonObject]]:
        pod = objects.running_pod(submitted.pods[pod_uid], node, self._next_version())
        machine = self._machines[node]
        machine.take(pod, submitted.gang.gpus, self.now)
        submitted.pods[pod_uid] = pod
        if submitted.runs:
            self._started[submitted.job.name] = submitted.nodes
        return [(Kind.POD, pod), (Kind.NODE_POWER, machine.power(self._next_version()))]

    def _take_workload(self, submitted: _Submitted) -> None:
        """Delete the Job of the present attempt and its pods, which end at once, and let the operator hear of it."""
        name = submitted.job.name
        if self._started.pop(name, None) is None and submitted.runs and not submitted.has_ended:
            self._stopped.append(name)
        gone = [(Kind.POD, uid) for uid in submitted.pods]
        if submitted.workload is not None:
            gone.append((Kind.JOB, submitted.workload["metadata"]["uid"]))
        touched = self._give_back(submitted)
        submitted.workload, submitted.pods = None, {}
        for kind, uid in gone:
            self._state.forget(kind, uid)
        for node in touched:
            self._state.observe(Kind.NODE_POWER, self._machines[node].power(self._next_version()))

    def _expire(self, uid: str) -> None:
        """Delete a TrainingJob; the garbage collector takes what belongs to it."""
        submitted = self._jobs[uid]
        self._take_workload(submitted)
        del self._jobs[uid], self._uids[submitted.job.name]

    def _give_back(self, submitted: _Submitted) -> list[str]:
        """Take a job's GPUs; return on which nodes that changed something."""
        held = submitted.nodes if not submitted.has_ended else {}
        for node in held:
            for uid in submitted.pods:
                self._machines[node].give_back(uid)
        return list(held)

    def _next_version(self) -> int:
        self._version += 1
        return self._version


def _range(node: SimNode) -> GpuRange:
    return GpuRange(node.gpu_model, node.min_limit_watts, node.max_limit_watts, node.idle_watts)


def _refuse(error: InvalidTrainingJob) -> NoReturn:
    raise error
