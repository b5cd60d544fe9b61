"""What a cycle sees of what jobs learn: profiles of their own and shared, and each measurement once."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.api.energyprofile import EnergyProfile, EnergyProfileStatus
from ballast.decide.actions import WriteProfile
from ballast.decide.model.prediction import GpuRange
from ballast.decide.snapshot import Job
from ballast.observe.cluster_state import ClusterState, Kind
from ballast.observe.timers import FIRST_RETRY_SECONDS
from ballast.observe.turns import LOOKED_AT_ONCE
from tests.builders import NOW, JobBuilder, job, node, pod
from tests.power_builders import manifest, on_gpus
from tests.unit.observe.learned import MODEL, answer, board, poll, profile

JOB = replace(on_gpus(job("train").with_gpus(1).running_on("a")), energy={"profileKey": "resnet"})
OTHER = replace(on_gpus(job("other").with_gpus(1).running_on("b")), energy={"profileKey": "resnet"})
SHARED = "ballast-system"


class Learning:
    """A state with running jobs on boards that tell all of themselves."""

    def __init__(self, *jobs: JobBuilder) -> None:
        self.time = NOW
        self.state = ClusterState(clock=lambda: self.time, shared_namespace=SHARED)
        for built in jobs:
            [place] = built.status.placement
            self.state.observe(Kind.NODE, node(place.node).with_gpus("A40", 4).manifest())
            running = pod(0, built).running_on(place.node)
            self.state.observe(Kind.NODE_POWER, manifest(place.node, board(holders=[running.uid])))
            self.state.observe(Kind.TRAINING_JOB, built.manifest())
            self.state.observe(Kind.JOB, built.job_manifest())
            self.state.observe(Kind.POD, running.manifest())
        self.changed()

    def changed(self) -> dict[str, Job]:
        return {each.name: each for each in self.state.snapshot(self.time, 1000).changed}

    def is_measured(self) -> None:
        """Let Prometheus answer until a measurement of `train` is complete."""
        for seconds in (15, 30, 45, 60):
            self.time += 15
            self.state.take_telemetry(poll(answer(seconds)))

    def write(self, version: str | None = None) -> WriteProfile:
        spec = EnergyProfile.parse(profile(300)).spec
        return WriteProfile("team", "resnet", version, spec, EnergyProfileStatus())


def test_a_job_knows_its_boards_before_anything_is_learned() -> None:
    learning = Learning(JOB)
    learning.state.observe(Kind.TRAINING_JOB, JOB.at_version(2).manifest())
    learned = learning.changed()["train"].learned
    assert learned is not None
    assert (learned.profile_key, learned.gpu_model, learned.own) == ("resnet", MODEL, None)
    assert learned.gpu == GpuRange(MODEL, 100.0, 300.0, 30.0)


def test_so_does_one_that_is_only_placed() -> None:
    learning = Learning(on_gpus(job("train").with_gpus(1).placed_on("a")))
    learning.state.observe(Kind.ENERGY_PROFILE, profile(150, key="another"))
    learning.state.observe(Kind.NODE_POWER, manifest("a", board(found=250), version=2))
    learned = learning.changed()["train"].learned
    assert learned is not None
    assert learned.gpu == GpuRange(MODEL, 100.0, 250.0, 30.0)


def test_a_job_without_gpus_learns_nothing() -> None:
    learning = Learning(job("train").running_on("a"))
    learning.state.observe(Kind.TRAINING_JOB, job("train").running_on("a").at_version(2).manifest())
    assert learning.changed()["train"].learned is None


def test_a_profile_is_news_to_its_jobs() -> None:
    learning = Learning(JOB, OTHER.in_namespace("others"))
    learning.state.observe(Kind.ENERGY_PROFILE, profile(150))
    changed = learning.changed()
    assert set(changed) == {"train"}
    learned = changed["train"].learned
    assert learned is not None
    assert learned.own is not None
    learning.state.forget(Kind.ENERGY_PROFILE, "uid-of-team-resnet")
    assert set(learning.changed()) == {"train"}


def test_one_that_is_shared_is_news_to_all() -> None:
    learning = Learning(JOB, OTHER.in_namespace("others"))
    learning.state.observe(Kind.ENERGY_PROFILE, profile(150, namespace=SHARED))
    changed = learning.changed()
    assert set(changed) == {"train", "other"}
    assert all(each.learned is not None and each.learned.shared is not None for each in changed.values())


def test_a_measurement_is_in_one_snapshot() -> None:
    learning = Learning(JOB)
    learning.is_measured()
    measurement = learning.changed()["train"].measurement
    assert measurement is not None
    assert (measurement.limit_watts, measurement.gpus, measurement.steps) == (300.0, 1, 300)
    learning.state.observe(Kind.TRAINING_JOB, JOB.at_version(2).manifest())
    assert learning.changed()["train"].measurement is None


def test_one_of_a_cycle_that_was_cut_off_is_in_the_next() -> None:
    learning = Learning(JOB)
    learning.is_measured()
    snapshot = learning.state.snapshot(learning.time, 1000)
    learning.state.look_again(snapshot)
    assert learning.changed()["train"].measurement == snapshot.changed[0].measurement is not None


def test_it_waits_while_its_profile_is_being_written() -> None:
    learning = Learning(JOB)
    learning.state.assume(learning.write())
    learning.is_measured()
    assert all(each.measurement is None for each in learning.changed().values())
    learning.state.settle(learning.write(), [("EnergyProfile", profile(300))])
    job = learning.changed()["train"]
    assert job.measurement is not None
    assert job.learned is not None
    assert job.learned.own is not None, "by what was written it is decided"


@pytest.mark.parametrize("is_measured", [True, False])
def test_and_while_that_rests_because_it_failed(*, is_measured: bool) -> None:
    learning = Learning(JOB)
    learning.state.assume(learning.write())
    learning.state.reject(learning.write())
    if is_measured:
        learning.is_measured()
        learning.time = NOW
    assert all(each.measurement is None for each in learning.changed().values())
    assert learning.state.seconds_to_next_due() == pytest.approx(FIRST_RETRY_SECONDS)
    learning.time += FIRST_RETRY_SECONDS
    assert {name for name, each in learning.changed().items() if each.measurement} == (
        {"train"} if is_measured else set()
    )


def test_a_change_of_the_operating_point_begins_another() -> None:
    learning = Learning(JOB)
    for seconds in (15, 30, 45):
        learning.state.take_telemetry(poll(answer(seconds)))
    learning.time += 46
    edited = JOB.at_point(mode="Fixed", powerLimit="150W").at_version(2)
    learning.state.observe(Kind.TRAINING_JOB, edited.manifest())
    learning.state.take_telemetry(poll(answer(60)))
    assert all(each.measurement is None for each in learning.changed().values())


def test_of_many_jobs_that_share_a_profile_a_cycle_looks_at_some_and_the_next_soon_at_others() -> None:
    many = [on_gpus(job(f"job-{number}").with_gpus(1).running_on("a")) for number in range(LOOKED_AT_ONCE + 3)]
    learning = Learning(*(replace(each, energy={"profileKey": "resnet"}) for each in many))
    learning.state.observe(Kind.ENERGY_PROFILE, profile(150))
    first = learning.changed()
    assert len(first) == LOOKED_AT_ONCE
    due = learning.state.seconds_to_next_due()
    assert due is not None
    assert due < 1
    learning.state.observe(Kind.ENERGY_PROFILE, profile(150, 200, version=2))
    assert {*first, *learning.changed(), *learning.changed()} == {each.name for each in many}
    assert learning.changed() == {}


def test_a_job_that_is_placed_while_its_profile_is_written_begins_with_what_is_known() -> None:
    learning = Learning(placed := replace(on_gpus(job("train").with_gpus(1).placed_on("a")), energy=JOB.energy))
    learning.state.observe(Kind.ENERGY_PROFILE, profile(150))
    learning.state.assume(learning.write("1"))
    learning.state.observe(Kind.TRAINING_JOB, placed.at_version(2).manifest())
    learned = learning.changed()["train"].learned
    assert learned is not None
    assert learned.own is not None
    assert not learned.writing
