"""What exporters show, as text, of pods that a test makes up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ballast.api import exporter
from ballast.api.finalreading import Evaluation


@dataclass
class ExposedPod:
    """A pod and what its exporter shows.

    Attributes:
        joules: active, by component; idle is a tenth of it.
        watts: by component.
        training: by metric.
        evaluations: how many there were.
        ring: the newest of them.
    """

    pod_uid: str
    job_uid: str = "job-1"
    attempt: int = 1
    joules: dict[str, float] = field(default_factory=dict)
    watts: dict[str, float] = field(default_factory=dict)
    read_at: float | None = None
    training: dict[str, float] = field(default_factory=dict)
    evaluations: int | None = None
    ring: list[Evaluation] = field(default_factory=list)

    def text(self) -> str:
        """Return it in Prometheus' text format."""
        return "".join(self._lines())

    def _lines(self) -> Iterable[str]:
        for component, joules in self.joules.items():
            yield self._line(exporter.ENERGY, joules, component=component, share="active")
            yield self._line(exporter.ENERGY, joules / 10, component=component, share="idle")
            yield self._line(exporter.SOURCE, 1, component=component, source="Integral")
        for component, watts in self.watts.items():
            yield self._line(exporter.POWER, watts, component=component)
        if self.read_at is not None:
            yield self._line(exporter.READ_AT, self.read_at)
        for name, value in self.training.items():
            yield self._line(name, value)
        if self.evaluations is not None:
            yield self._line(exporter.EVALUATIONS, self.evaluations)
        for each in self.ring:
            slot = str(each.number % exporter.RING)
            yield self._line(exporter.EVALUATION_VALUE, each.value, slot=slot)
            if each.step is not None:
                yield self._line(exporter.EVALUATION_STEP, each.step, slot=slot)
            if each.training_value is not None:
                yield self._line(exporter.EVALUATION_TRAINING_VALUE, each.training_value, slot=slot)

    def _line(self, name: str, value: float, **labels: str) -> str:
        own = {
            "trainingjob": f"name-of-{self.job_uid}",
            "job_uid": self.job_uid,
            "attempt": str(self.attempt),
            "pod_uid": self.pod_uid,
        }
        return f"{name}{{{_labels({**own, **labels})}}} {float(value)!r}\n"


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{value}"' for name, value in labels.items())
