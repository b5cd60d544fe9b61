"""What observe tells and decide does, round after round: a job learns its point, and the next one begins with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from ballast.api.energyprofile import EnergyProfile
from ballast.api.finalreading import Training
from ballast.api.nodepower import NodePowerSpec
from ballast.api.operatingpoint import OperatingPoint
from ballast.api.source import Component
from ballast.decide.actions import WriteNodePower, WriteProfile, WriteStatus
from ballast.decide.cycle import decide
from ballast.decide.policy import Policy
from ballast.decide.telemetry import Poll, Telemetry
from ballast.kube import ApiRefused
from ballast.observe.cluster_state import ClusterState, Kind
from tests.auto_builders import BOARD, auto_job
from tests.builders import NOW, JobBuilder, JsonObject, node, pod
from tests.curve_builders import MadeUpCurve, fast
from tests.power_builders import manifest
from tests.unit.observe.learned import board

POLICY = Policy(prometheus=True, agents=True)
POLL_SECONDS = 15.0


@dataclass
class Cluster:
    """One job on one board, and all around it that an operator has to do with.

    Attributes:
        refuses: profiles' writes that the API server still refuses.
    """

    job: JobBuilder = field(default_factory=auto_job)
    truth: MadeUpCurve = field(default_factory=lambda: fast(BOARD))
    time: float = NOW
    step: float = 0.0
    joules: float = 0.0
    limit: float = 300.0
    version: int = 10
    refuses: int = 0
    spec: NodePowerSpec = field(default_factory=NodePowerSpec)
    profile: JsonObject | None = None
    limits: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin with an operator that knows nothing but what the API server has."""
        self.state = ClusterState(clock=lambda: self.time, policy=POLICY)
        labels = {"ballast.dev/gpu-count": "1", "ballast.dev/gpu-model": BOARD.name}
        self.state.observe(Kind.NODE, node("a").with_gpus("A40", 1).labelled(**labels).manifest())
        self.state.observe(Kind.NODE_POWER, self._power())
        self.state.observe(Kind.TRAINING_JOB, self.job.at_version(self._next()).manifest())
        self.state.observe(Kind.JOB, self.job.job_manifest())
        self.state.observe(Kind.POD, pod(0, self.job).running_on("a").manifest())
        if self.profile is not None:
            self.state.observe(Kind.ENERGY_PROFILE, self.profile)

    def agent_tells(self) -> None:
        """Let the agent do what is asked, and say so."""
        self.limit = next((entry.operating_point.power_limit_watts or 300.0 for entry in self.spec.pods), 300.0)
        self.state.observe(Kind.NODE_POWER, self._power())
        self.settle()

    def _power(self) -> JsonObject:
        enforced = None if self.limit == 300.0 else OperatingPoint(power_limit_watts=self.limit)
        gpu = board(holders=[pod(0, self.job).uid], enforced=enforced)
        return manifest("a", gpu, pods=self.spec.pods, version=self._next())

    def train(self, polls: int) -> None:
        """Train on, with agents that follow and a Prometheus that is asked."""
        for _ in range(polls):
            sample = self.truth.measured(self.limit)
            self.time += POLL_SECONDS
            self.step += sample.work_per_second * POLL_SECONDS
            self.joules += sample.watts * POLL_SECONDS
            self.limits.append(self.limit)
            training = Training(step=int(self.step), reported_at=self.time, seconds_left=20_000.0)
            told = Telemetry(
                attempt=1,
                asked_at=self.time,
                pods=1,
                oldest_at=self.time,
                read_at=self.time,
                joules={Component.GPU: self.joules},
                watts=sample.watts,
                training=training,
            )
            self.state.take_telemetry(Poll(self.time, {"uid-of-train": told}))
            self.settle()
            self.agent_tells()

    def settle(self) -> list[Any]:
        """Let cycles decide until there is nothing to do."""
        done: list[Any] = []
        for _ in range(10):
            actions = decide(self.state.snapshot(self.time, 100)).actions
            if not actions:
                return done
            for action in actions:
                self.state.assume(action)
            for action in actions:
                self._carry_out(action)
            done += actions
        raise AssertionError(f"no end of it: {done[-3:]}")

    def _carry_out(self, action: Any) -> None:
        match action:
            case WriteStatus():
                self.job = self.job.with_status(**dict(action.status))
                answer = self.job.at_version(self._next()).manifest()
                self.state.settle(action, [("TrainingJob", answer)])
            case WriteNodePower():
                self.spec = action.spec
                self.state.settle(action, [("NodePower", self._power())])
            case WriteProfile() if self.refuses:
                self.refuses -= 1
                self.state.reject(action)
            case WriteProfile():
                self.profile = self._profile(action)
                self.state.settle(action, [("EnergyProfile", self.profile)])
            case _:
                self.state.settle(action, [])

    def _profile(self, action: WriteProfile) -> JsonObject:
        before = None if self.profile is None else self.profile["metadata"]["resourceVersion"]
        if action.resource_version != before:
            raise ApiRefused(409, "Conflict", "not the version that was read")
        return {
            "apiVersion": "ballast.dev/v1alpha1",
            "kind": "EnergyProfile",
            "metadata": {
                "name": action.name,
                "namespace": action.namespace,
                "uid": "uid-of-profile",
                "resourceVersion": str(self._next()),
            },
            "spec": action.spec.to_manifest(),
            "status": action.status.to_manifest(),
        }

    def learned(self) -> EnergyProfile:
        assert self.profile is not None
        return EnergyProfile.parse(self.profile)

    def _next(self) -> int:
        self.version += 1
        return self.version


def within(cluster: Cluster) -> None:
    """Check what was learned and chosen."""
    for point in cluster.learned().spec.points:
        true = cluster.truth.measured(point.power_limit_watts)
        assert point.steps_per_second == pytest.approx(true.work_per_second, rel=0.02)
        assert point.watts_per_gpu == pytest.approx(true.watts, rel=0.02)
    chosen = cluster.job.status.operating_point
    assert chosen is not None
    assert cluster.limit == chosen.power_limit_watts < 300.0
    assert cluster.truth.true_slowdown_percent(cluster.limit) <= 10.5
    assert cluster.truth.true_log_joules(cluster.limit) < -0.1


def test_a_job_learns_its_point() -> None:
    cluster = Cluster()
    cluster.settle()
    cluster.train(120)
    assert cluster.limits[0] == 300.0
    within(cluster)
    assert cluster.job.status.energy is not None
    assert (cluster.job.status.energy.saved_percent or 0) > 5


def test_an_operator_that_restarts_goes_on() -> None:
    cluster = Cluster()
    cluster.settle()
    for _ in range(12):
        cluster.train(10)
        before = cluster.limit
        cluster.restart()
        cluster.settle()
        cluster.agent_tells()
        assert cluster.limit == before
    within(cluster)


def test_a_write_that_fails_costs_a_measurement_and_no_more() -> None:
    cluster = Cluster(refuses=3)
    cluster.settle()
    cluster.train(140)
    assert cluster.refuses == 0
    within(cluster)


def test_the_next_job_with_the_key_begins_at_the_point() -> None:
    first = Cluster()
    first.settle()
    first.train(120)
    second = Cluster(profile=first.profile, version=first.version)
    second.settle()
    second.agent_tells()
    second.train(8)
    assert first.limit < 300.0
    assert second.limits[1:] == [first.limit] * 7


def test_while_prometheus_is_silent_nothing_moves() -> None:
    cluster = Cluster()
    cluster.settle()
    cluster.train(7)
    limit, point = cluster.limit, cluster.job.status.operating_point
    for _ in range(40):
        cluster.time += POLL_SECONDS
        cluster.state.take_telemetry(Poll(cluster.time, problem="no answer"))
        cluster.settle()
        cluster.agent_tells()
    assert (cluster.limit, cluster.job.status.operating_point) == (limit, point)


def test_another_namespace_learns_for_itself() -> None:
    first = Cluster()
    first.settle()
    first.train(120)
    stranger = Cluster(job=auto_job(namespace="others"), profile=first.profile, version=first.version)
    stranger.settle()
    stranger.train(2)
    assert stranger.job.status.operating_point is not None
    assert stranger.job.status.operating_point.power_limit_watts == 300.0
    assert stranger.job.status.operating_point.samples == 0
