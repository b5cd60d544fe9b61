"""What readings taught of each kind of job on each GPU model, as EnergyProfiles hold it in a cluster.

Jobs of one kind share what was learned, on any number of GPUs: a sample is of one GPU, as data-parallel training on n
of them does n times the work and draws n times the watts. What must hold: nothing is in here that was not read at an
operating point at which a job really ran; the samples that are kept stay few, however long a run is.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from typing import Final, TypeAlias

from ballast.decide.known_limits import whole
from ballast.decide.prediction import Curve, EnergyModel, GpuRange, Sample
from ballast.simulate.policy import Reading

KEPT_SAMPLES: Final = 16
"""Of each limit, the newest: as many as settle it (`known_limits.Trust`)."""

ModelOf: TypeAlias = Callable[[str], EnergyModel]
"""The model that makes curves of a kind's samples."""

_Key: TypeAlias = tuple[str, str]


class Profiles:
    """Samples by kind and GPU model; see the module's docstring.

    Args:
        model_of: See `ModelOf`.
    """

    def __init__(self, model_of: ModelOf) -> None:
        self._model_of = model_of
        self._samples: dict[_Key, dict[int, deque[Sample]]] = defaultdict(dict)
        self._counts: dict[_Key, Counter[int]] = defaultdict(Counter)
        self._curves: dict[_Key, tuple[int, Curve]] = {}

    def learn(self, kind: str, reading: Reading) -> None:
        """Take a reading in; one of a job that made no progress tells nothing."""
        if reading.work_per_second <= 0 or reading.watts_per_gpu <= 0:
            return
        key, limit = (kind, reading.gpu_model), whole(reading.limit_watts)
        sample = Sample(reading.limit_watts, reading.work_per_second / reading.gpus, reading.watts_per_gpu)
        self._samples[key].setdefault(limit, deque(maxlen=KEPT_SAMPLES)).append(sample)
        self._counts[key][limit] += 1

    def count(self, kind: str, gpu_model: str) -> int:
        """Return how many samples there have been, those that are not kept any more included."""
        return self._counts[kind, gpu_model].total()

    def count_at(self, kind: str, gpu_model: str, limit_watts: float) -> int:
        """Return how many of them were of one limit."""
        return self._counts[kind, gpu_model][whole(limit_watts)]

    def samples(self, kind: str, gpu_model: str) -> tuple[Sample, ...]:
        """Return what was measured."""
        by_limit = self._samples[kind, gpu_model]
        return tuple(sample for limit in sorted(by_limit) for sample in by_limit[limit])

    def curve(self, kind: str, gpu: GpuRange) -> Curve:
        """Return the kind's curve on a GPU model, after all that was measured of it there."""
        count, known = self.count(kind, gpu.name), self._curves.get((kind, gpu.name))
        if known is not None and known[0] == count:
            return known[1]
        curve = self._model_of(kind).curve(gpu, self.samples(kind, gpu.name))
        self._curves[kind, gpu.name] = count, curve
        return curve
