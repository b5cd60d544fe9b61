"""What readings taught of each kind of job on each GPU model, as EnergyProfiles hold it in a cluster.

Jobs of one kind share what was learned if they have equally many GPUs, as in a cluster, where gangs of other sizes are
not compared (`ballast.decide.learning.profile_points.comparable`). What must hold: nothing is in here that was not
read at an operating point at which a job of this kind and size really ran; the samples that are kept stay few, however
long a run is.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import Final, NamedTuple, TypeAlias

from ballast.decide.model.known_limits import pooled, whole
from ballast.decide.model.prediction import Curve, EnergyModel, GpuRange, Sample
from ballast.simulate.policy import Reading
from ballast.simulate.world.objects import Point

KEPT_SAMPLES: Final = 16
"""Of each limit, the newest: as many as settle it (`known_limits.Trust`)."""

POINT_SECONDS: Final = 30.0
"""How long one of them takes."""

ModelOf: TypeAlias = Callable[[str], EnergyModel]
"""The model that makes curves of a kind's samples."""


class Workload(NamedTuple):
    """Whose samples are one another's.

    Attributes:
        kind: Of the jobs.
        gpus: Of each job.
        gpu_model: What they run on.
    """

    kind: str
    gpus: int
    gpu_model: str


class Profiles:
    """Samples by workload; see the module's docstring.

    Args:
        model_of: See `ModelOf`.
    """

    def __init__(self, model_of: ModelOf) -> None:
        self._model_of = model_of
        self._samples: dict[Workload, dict[int, deque[Sample]]] = defaultdict(dict)
        self._counts: dict[Workload, Counter[int]] = defaultdict(Counter)
        self._curves: dict[Workload, tuple[int, Curve]] = {}

    def learn(self, kind: str, reading: Reading) -> None:
        """Take a reading in; one of a job that made no progress tells nothing."""
        if reading.work_per_second <= 0 or reading.watts_per_gpu <= 0:
            return
        key, limit = Workload(kind, reading.gpus, reading.gpu_model), whole(reading.limit_watts)
        sample = Sample(reading.limit_watts, reading.work_per_second / reading.gpus, reading.watts_per_gpu)
        self._samples[key].setdefault(limit, deque(maxlen=KEPT_SAMPLES)).append(sample)
        self._counts[key][limit] += 1

    def count(self, workload: Workload) -> int:
        """Return how many samples there have been, those that are not kept any more included."""
        return self._counts[workload].total()

    def count_at(self, workload: Workload, limit_watts: float) -> int:
        """Return how many of them were of one limit."""
        return self._counts[workload][whole(limit_watts)]

    def samples(self, workload: Workload) -> tuple[Sample, ...]:
        """Return what was measured."""
        by_limit = self._samples[workload]
        return tuple(sample for limit in sorted(by_limit) for sample in by_limit[limit])

    def points(self, kind: str, gpu_model: str) -> tuple[Point, ...]:
        """Return what was measured of a kind's jobs on a GPU model, as an EnergyProfile holds it."""
        found = []
        for workload in sorted(self._samples):
            if (workload.kind, workload.gpu_model) == (kind, gpu_model):
                for limit, pool in sorted(pooled(self.samples(workload)).items()):
                    sample, count = pool.sample, self._counts[workload][limit]
                    work = sample.work_per_second * workload.gpus
                    found.append(
                        Point(workload.gpus, sample.limit_watts, work, sample.watts, count, count * POINT_SECONDS)
                    )
        return tuple(found)

    def curve(self, kind: str, gpus: int, gpu: GpuRange) -> Curve:
        """Return the curve of a kind's jobs of one size on a GPU model, after all that was measured of them there."""
        workload = Workload(kind, gpus, gpu.name)
        count, known = self.count(workload), self._curves.get(workload)
        if known is not None and known[0] == count:
            return known[1]
        curve = self._model_of(kind).curve(gpu, self.samples(workload))
        self._curves[workload] = count, curve
        return curve
