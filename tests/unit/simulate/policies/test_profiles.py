"""What readings teach of a kind on a GPU model."""

from __future__ import annotations

from ballast.decide.model.prediction import GpuRange, Sample
from ballast.simulate.policies.profiles import KEPT_SAMPLES, Profiles, Workload
from ballast.simulate.policy import Reading
from tests.curve_builders import V100, MadeUpCurve, fast

A = Workload("a", 1, "V100")


class Model:
    """Counts how often it is asked, and keeps what it was asked with."""

    def __init__(self) -> None:
        self.asked: list[tuple[GpuRange, tuple[Sample, ...]]] = []

    def curve(self, gpu: GpuRange, samples: tuple[Sample, ...]) -> MadeUpCurve:
        self.asked.append((gpu, samples))
        return fast(gpu).after(samples)


def reading(limit: float = 250.0, speed: float = 1.0, watts: float = 200.0, *, gpus: int = 1, at: float = 0) -> Reading:
    """So much of each GPU."""
    return Reading(at, "V100", limit, gpus, gpus * speed, watts, 30.0)


def profiles(model: Model | None = None) -> Profiles:
    one = model or Model()
    return Profiles(lambda kind: one)


def test_a_sample_is_of_one_gpu() -> None:
    known = profiles()
    known.learn("a", reading(200.0, 0.9, 180.0, gpus=4))
    assert known.samples(A._replace(gpus=4)) == (Sample(200.0, 0.9, 180.0),)


def test_kinds_sizes_and_gpu_models_are_kept_apart() -> None:
    known = profiles()
    known.learn("a", reading())
    others = A._replace(kind="b"), A._replace(gpu_model="A40"), A._replace(gpus=2)
    assert [known.samples(other) for other in others] == [(), (), ()]
    assert [known.count(each) for each in (A, *others)] == [1, 0, 0, 0]
    assert known.curve("a", 2, V100) is not known.curve("a", 1, V100)


def test_a_job_that_made_no_progress_tells_nothing() -> None:
    known = profiles()
    known.learn("a", reading(speed=0.0))
    known.learn("a", reading(watts=0.0))
    assert known.samples(A) == ()
    assert known.count(A) == 0


def test_of_each_limit_the_newest_are_kept() -> None:
    known = profiles()
    known.learn("a", reading(limit=200.0, speed=7.0))
    for index in range(KEPT_SAMPLES + 3):
        known.learn("a", reading(speed=1.0 + index))
    samples = known.samples(A)
    assert [sample.work_per_second for sample in samples if sample.limit_watts == 200.0] == [7.0]
    highest = [sample.work_per_second for sample in samples if sample.limit_watts == 250.0]
    assert highest == [1.0 + index for index in range(3, KEPT_SAMPLES + 3)]


def test_all_samples_are_counted_those_that_are_not_kept_included() -> None:
    known = profiles()
    for _ in range(2 * KEPT_SAMPLES):
        known.learn("a", reading())
    known.learn("a", reading(limit=200.4))
    assert known.count(A) == 2 * KEPT_SAMPLES + 1
    assert known.count_at(A, 250.0) == 2 * KEPT_SAMPLES
    assert known.count_at(A, 200.0) == 1


def test_a_curve_is_made_once_for_what_is_known() -> None:
    model = Model()
    known = profiles(model)
    known.learn("a", reading())
    assert known.curve("a", 1, V100) is known.curve("a", 1, V100)
    known.learn("a", reading(limit=200.0))
    known.curve("a", 1, V100)
    assert [len(samples) for _, samples in model.asked] == [1, 2]


def test_each_kind_has_the_model_that_is_its_own() -> None:
    models = {"a": Model(), "b": Model()}
    known = Profiles(lambda kind: models[kind])
    known.curve("b", 1, V100)
    assert not models["a"].asked
    assert models["b"].asked == [(V100, ())]
