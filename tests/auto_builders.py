"""Running jobs whose operating point Ballast chooses, and what profiles say of them, for the tests of that.

`Trained` is such a job together with the world around it: agents that do what is asked, a trainer whose speed and power
follow a made-up curve, an API server that keeps what is written.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from ballast.api.energyprofile import EnergyProfile, EnergyProfileSpec, EnergyProfileStatus, MeasuredPoint
from ballast.api.finalreading import Training
from ballast.api.jobstatus import ChosenPoint, TrainingJobStatus
from ballast.api.kinds import ObjectMeta
from ballast.api.source import Component
from ballast.decide.actions import Action, WriteProfile, WriteStatus
from ballast.decide.cycle import decide
from ballast.decide.gpu_asks import Ask, HeldGpu
from ballast.decide.measurement import Learned, Measurement
from ballast.decide.model.prediction import GpuRange
from ballast.decide.operating_point import asks
from ballast.decide.policy import Policy
from ballast.decide.snapshot import Context, Job, Snapshot
from ballast.decide.telemetry import Telemetry
from tests.builders import NOW, JobBuilder, at, context, job, node, pod, snapshot
from tests.curve_builders import MadeUpCurve, fast
from tests.power_builders import on_gpus, point

MODEL = "NVIDIA-A40"
BOARD = GpuRange(MODEL, 100.0, 300.0, 30.0)
CLOCK = 1_740_000_000
KEY = "resnet"
LATER = NOW + 1000.0
"""Long after the job began to run."""

WATCHED = Policy(prometheus=True, agents=True)
NODES = tuple(node(name).with_gpus("A40", 8).with_cpus(64, 512) for name in "ab")


def auto_job(name: str = "train", namespace: str = "team", pods: int = 1, **energy: Any) -> JobBuilder:
    """Return a running job of mode Auto, each of whose pods has one GPU of a node of its own."""
    builder = job(name).in_namespace(namespace).with_gpus(1).replicas(pods)
    builder = replace(builder, energy={"operatingPoint": {"mode": "Auto"}, "profileKey": KEY, **energy})
    places = "abcdefgh"[:pods]
    builder = on_gpus(builder.running_on(*places))
    builder = builder.with_pods(*(pod(index, builder).running_on(place) for index, place in enumerate(places)))
    return builder.with_job()


def measured_point(watts: float, speed: float = 10.0, draw: float | None = None, **more: Any) -> MeasuredPoint:
    """Return a well-measured point of one GPU; by default it draws nearly its limit."""
    fields: dict[str, Any] = {
        "gpus": 1,
        "power_limit_watts": watts,
        "max_clock_hertz": CLOCK,
        "steps_per_second": speed,
        "steps_per_second_deviation": 0.002 * speed,
        "watts_per_gpu": draw or 0.95 * watts,
        "watts_per_gpu_deviation": 0.5,
        "samples": 8,
        "measured_seconds": 240.0,
        "measured_at": at(0),
    }
    return MeasuredPoint(**{**fields, **more})


def profile(*points: MeasuredPoint, namespace: str = "team", version: int = 7, **status: Any) -> EnergyProfile:
    """Return a profile as the API server has it."""
    return EnergyProfile(
        kind="EnergyProfile",
        metadata=ObjectMeta(
            name="resnet-a40", namespace=namespace, uid="uid-of-profile", resource_version=str(version)
        ),
        spec=EnergyProfileSpec(profile_key=KEY, gpu_model=MODEL, points=points),
        status=EnergyProfileStatus(**status),
    )


def known(own: EnergyProfile | None = None, **fields: Any) -> Learned:
    """Return what profiles say of a job."""
    return replace(Learned(KEY, MODEL, BOARD, CLOCK, own), **fields)


def measurement(
    watts: float = 300.0,
    speed: float = 10.0,
    draw: float | None = None,
    *,
    ended: float = LATER,
    seconds: float = 30.0,
    gpus: int = 1,
    attempt: int = 1,
    clock: int = CLOCK,
) -> Measurement:
    """Return a measurement that ended just now."""
    joules = (draw or 0.95 * watts) * seconds * gpus
    return Measurement(attempt, ended - seconds, ended, watts, clock, gpus, speed * seconds, joules)


def figures(now: float = LATER, pods: int = 1, age: float = 5.0, **training: Any) -> Telemetry:
    """Return fresh figures of a job whose trainer reports steps."""
    told: dict[str, Any] = {"step": 5000, "reported_at": now - age, "seconds_left": 20_000.0}
    return Telemetry(
        attempt=1,
        asked_at=now,
        pods=pods,
        oldest_at=now - age,
        joules={Component.GPU: 200_000.0},
        watts=250.0 * pods,
        training=Training(**{**told, **training}),
    )


def held_gpus(builder: JobBuilder, watts: float | None = None, **more: Any) -> dict[str, tuple[HeldGpu, ...]]:
    """Return what agents tell of the GPUs of a job's pods: all at one limit, None for what was found."""
    enforced = None if watts is None else point(watts)
    return {each.uid: (HeldGpu(f"GPU-{each.index}", 300.0, enforced, **more),) for each in builder.pods}


def ready(builder: JobBuilder | None = None, *, now: float = LATER, **fields: Any) -> Job:
    """Return a running job with fresh figures, whose GPUs its agents have told, as they were found."""
    builder = builder or auto_job()
    job = builder.holding(held_gpus(builder)).hearing(telemetry=figures(now, len(builder.pods))).build()
    return replace(job, **{"learned": known(), **fields})


def watched(now: float = LATER, policy: Policy = WATCHED) -> Context:
    """Return a context in which Prometheus was asked just now."""
    return replace(context(NODES, now=now, policy=policy), telemetry_asked_at=now)


def picture(*jobs: Job, now: float = LATER, policy: Policy = WATCHED) -> Snapshot:
    """Return a snapshot in which something changed about these jobs."""
    return replace(snapshot(NODES, now=now, policy=policy), changed=jobs, telemetry_asked_at=now)


def chosen(watts: float, **more: Any) -> ChosenPoint:
    """Return a record of a choice."""
    return ChosenPoint(**{"power_limit_watts": watts, "since": at(0), "observed_generation": 1, **more})


def with_status(job: Job, status: TrainingJobStatus) -> Job:
    """Return the job with another status, as the API server gives it back."""
    read_back = TrainingJobStatus.model_validate(status.to_manifest())
    return replace(job, job=job.job.model_copy(update={"status": read_back}))


def with_chosen(job: Job, choice: ChosenPoint | None, *, confirmed: bool = True) -> Job:
    """Return the job with a record of a choice, which the agents that have told of its GPUs have carried out."""
    job = with_status(job, job.job.status.model_copy(update={"operating_point": choice}))
    if choice is None or not confirmed:
        return job
    enforced = None if choice.power_limit_watts == BOARD.max_limit_watts else point(choice.power_limit_watts)
    held = {pod: tuple(replace(gpu, enforced=enforced) for gpu in gpus) for pod, gpus in job.held_gpus.items()}
    return replace(job, held_gpus=held)


def statuses(actions: Iterable[Action]) -> list[WriteStatus]:
    """Return the writes of jobs."""
    return [action for action in actions if isinstance(action, WriteStatus)]


def profiles(actions: Iterable[Action]) -> list[WriteProfile]:
    """Return the writes of profiles."""
    return [action for action in actions if isinstance(action, WriteProfile)]


@dataclass
class Trained:
    """A job, its profile and its boards, through time.

    Attributes:
        truth: What no model sees.
        job: As the API server has it.
        own: Its profile, likewise.
        has_watts: The limit that its GPUs have.
        seconds: How long it was at which limit.
        told: All events.
    """

    truth: MadeUpCurve = field(default_factory=lambda: fast(BOARD))
    job: Job = field(default_factory=ready)
    own: EnergyProfile | None = None
    now: float = LATER
    has_watts: float = 300.0
    seconds: dict[float, float] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    off_by: float = 0.0

    def cycle(self, reading: Measurement | None = None) -> list[Action]:
        """Let one cycle decide and be carried out; return its actions."""
        seen = self.seen(reading)
        actions = list(decide(picture(seen, now=self.now)).actions)
        for action in actions:
            if isinstance(action, WriteProfile):
                self._keep(action)
            elif isinstance(action, WriteStatus):
                self.job = with_status(self.job, action.status)
                if action.note is not None:
                    self.told.append(f"{action.note.reason}: {action.note.message}")
        return actions

    def seen(self, reading: Measurement | None = None) -> Job:
        """Return the job as a snapshot has it."""
        pods = self.job.own_pods
        enforced = None if self.has_watts == 300.0 else point(self.has_watts)
        return replace(
            self.job,
            held_gpus={pod.uid: (HeldGpu(f"GPU-{pod.index}", 300.0, enforced),) for pod in pods},
            telemetry=figures(self.now, len(pods)),
            learned=replace(self.job.learned or known(), own=self.own),
            measurement=reading,
        )

    def asked(self) -> tuple[Ask, ...]:
        """Return what the job asks of its GPUs."""
        return asks(self.seen())

    def confirm(self) -> None:
        """Let the agents set what is asked."""
        found = self.asked()
        self.has_watts = 300.0 if not found else found[0].power_limit_watts or 300.0

    def read(self, seconds: float = 30.0) -> Measurement:
        """Let time pass, and return what was measured meanwhile."""
        self.now += seconds
        self.seconds[self.has_watts] = self.seconds.get(self.has_watts, 0.0) + seconds
        sample = self.truth.measured(self.has_watts, off_by=self.off_by)
        gpus = len(self.job.own_pods)
        return measurement(
            self.has_watts, sample.work_per_second, sample.watts, ended=self.now, seconds=seconds, gpus=gpus
        )

    def live(self, readings: int) -> None:
        """Train for so many readings, each of which is learned from."""
        self.cycle()
        for _ in range(readings):
            self.confirm()
            self.cycle(self.read())

    def _keep(self, action: WriteProfile) -> None:
        version = self.own.metadata.resource_version if self.own is not None else None
        assert action.resource_version == version, "a profile is written as it was read"
        metadata = ObjectMeta(
            name=action.name,
            namespace=action.namespace,
            uid="uid-of-profile",
            resource_version=str(int(version or "0") + 1),
        )
        self.own = EnergyProfile.parse(
            EnergyProfile(kind="EnergyProfile", metadata=metadata, spec=action.spec, status=action.status).to_manifest()
        )
