"""What a bench is to compare: cases, each paired with a baseline, over seeds.

A case is a training configuration with techniques; a plan is valid or never made. Every case is run with every seed of
the plan, and is compared with its baseline of the same seed and phase. Users write plans as TOML:

```toml
name = "first look"
seeds = [0, 1, 2]
target_accuracy = 0.95        # optional: energy until the validation accuracy first reaches it is kept too

[defaults]                    # settings of every case: the fields of frugal.config.TrainConfig
data = "digits"
model = "mlp"
epochs = 10

[[case]]
name = "plain"

[[case]]
name = "pruned"
baseline = "plain"
with = ["pruning,sparsity=0.8"]   # as after --with
phases = ["inference"]            # optional; training and inference without it

[[case]]
name = "pruned, small batches"
baseline = "plain"
with = ["pruning,sparsity=0.8"]
batch_size = 32                   # a case can have settings of its own
```
"""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from frugal.bench.records import Phase
from frugal.config import TrainConfig
from frugal.errors import ConfigError

BOTH = (Phase.TRAINING, Phase.INFERENCE)

_BENCH_SETS = {
    "seed": "the plan's seeds take its place",
    "checkpoint_dir": "a bench measures whole trainings and keeps no checkpoints",
    "checkpoint_every": "a bench measures whole trainings and keeps no checkpoints",
    "resume": "a bench measures whole trainings and keeps no checkpoints",
}


@dataclass(frozen=True, kw_only=True)
class Case:
    """Something to measure.

    Attributes:
        name: In tables and records; unique in its plan.
        config: What to train; its seed is replaced by each of the plan's.
        techniques: Specs as after ``--with``.
        baseline: Name of the case that it is compared with; None for a baseline.
        phases: What to measure: inference alone still trains, but does not keep what that cost.
    """

    name: str
    config: TrainConfig
    techniques: tuple[str, ...] = ()
    baseline: str | None = None
    phases: tuple[Phase, ...] = BOTH

    def __post_init__(self) -> None:
        if not self.name.strip() or not self.name.isprintable():
            raise ConfigError("case", self.name, "give it a name that can be printed")
        if not self.phases or len(set(self.phases)) != len(self.phases):
            names = ", ".join(phase.value for phase in BOTH)
            raise ConfigError("phases", [*self.phases], f"case {self.name!r}: use one or both of {names}, each once")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to run.

    Attributes:
        name: What it is about.
        cases: In the order of their running; a baseline may stand anywhere.
        seeds: Each case is run with each of them; three or more give a confidence interval worth reading.
        target_accuracy: Validation accuracy, 0 to 1, up to which energy is also kept; None if that is not asked.
    """

    name: str
    cases: tuple[Case, ...]
    seeds: tuple[int, ...]
    target_accuracy: float | None = None

    def __post_init__(self) -> None:
        if not self.cases:
            raise ConfigError("case", "", f"plan {self.name!r} has no case; give it at least one")
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) != len(self.seeds):
            raise ConfigError("seeds", [*self.seeds], "use whole numbers from 0, each once: [0, 1, 2]")
        if self.target_accuracy is not None and not 0 < self.target_accuracy <= 1:
            raise ConfigError("target_accuracy", self.target_accuracy, "use a share above 0 and up to 1, such as 0.95")
        devices = sorted({case.config.device for case in self.cases})
        if len(devices) > 1:
            raise ConfigError("device", devices, "use one for all cases: what counts their energy must be the same")
        by_name: dict[str, Case] = {}
        for case in self.cases:
            if case.name in by_name:
                raise ConfigError("case", case.name, "another case has this name already; give each its own")
            by_name[case.name] = case
        for case in self.cases:
            _check_baseline(case, by_name)

    def case(self, name: str) -> Case:
        """The case called ``name``, which must exist."""
        return next(case for case in self.cases if case.name == name)

    @classmethod
    def from_toml(cls, path: Path) -> Plan:
        """The plan in the file ``path``; this module's docstring shows one.

        Raises:
            ConfigError: It cannot be read, or says what is not possible; the message names field and remedy.
        """
        try:
            raw = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError("plan", str(path), f"cannot be read ({error.strerror}); name a TOML file") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError("plan", str(path), f"is not TOML ({error})") from error
        return cls.from_mapping(raw, default_name=path.stem)

    @classmethod
    def from_mapping(cls, raw: Mapping[str, Any], default_name: str) -> Plan:
        """What `from_toml` makes of a file's content.

        Raises:
            ConfigError: As `from_toml`.
        """
        _known(raw, ("name", "seeds", "target_accuracy", "defaults", "case"), "of a plan")
        defaults = _table(raw, "defaults", {})
        cases = raw.get("case", [])
        if not isinstance(cases, list) or not all(isinstance(case, dict) for case in cases):
            raise ConfigError("case", cases, "write each case as a table of its own under [[case]]")
        target = raw.get("target_accuracy")
        return cls(
            name=_typed("name", raw.get("name", default_name), str),
            cases=tuple(_case(case, defaults) for case in cases),
            seeds=tuple(_typed("seeds", seed, int) for seed in _list(raw, "seeds", [0, 1, 2])),
            target_accuracy=None if target is None else _typed("target_accuracy", target, float),
        )


def settings_of(config: TrainConfig) -> dict[str, str | int | float | bool]:
    """The settings of a case that a plan can have, as plain values: what two runs must share to be one bench."""
    kept = {field.name: getattr(config, field.name) for field in dataclasses.fields(config)}
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in kept.items()
        if name not in _BENCH_SETS
    }


def _check_baseline(case: Case, by_name: Mapping[str, Case]) -> None:
    if case.baseline is None:
        return
    baseline = by_name.get(case.baseline)
    if baseline is None or baseline is case:
        others = ", ".join(repr(name) for name, other in by_name.items() if other.baseline is None) or "none yet"
        raise ConfigError("baseline", case.baseline, f"case {case.name!r}: use a case of the plan; baselines: {others}")
    if baseline.baseline is not None:
        raise ConfigError(
            "baseline",
            case.baseline,
            f"case {case.name!r}: that case has a baseline itself; use {baseline.baseline!r}",
        )
    missing = [phase.value for phase in case.phases if phase not in baseline.phases]
    if missing:
        raise ConfigError(
            "phases",
            [phase.value for phase in baseline.phases],
            f"case {baseline.name!r} is the baseline of {case.name!r} and must measure {', '.join(missing)} too",
        )
    if case.config.data != baseline.config.data:
        raise ConfigError(
            "data",
            case.config.data,
            f"case {case.name!r} and its baseline {baseline.name!r} ({baseline.config.data}) must learn the same data",
        )


def _case(raw: Mapping[str, Any], defaults: Mapping[str, Any]) -> Case:
    own = {"name", "baseline", "with", "phases"}
    if "name" not in raw:
        raise ConfigError("case", dict(raw), "give it a name")
    name = _typed("name", raw["name"], str)
    settings = {**defaults, **{key: value for key, value in raw.items() if key not in own}}
    baseline = raw.get("baseline")
    return Case(
        name=name,
        config=_config(name, settings),
        techniques=tuple(_typed("with", spec, str) for spec in _list(raw, "with", [])),
        baseline=None if baseline is None else _typed("baseline", baseline, str),
        phases=tuple(_phase(phase) for phase in _list(raw, "phases", [phase.value for phase in BOTH])),
    )


def _phase(name: Any) -> Phase:
    try:
        return Phase(name)
    except ValueError:
        raise ConfigError("phases", name, f"use one or both of {', '.join(phase.value for phase in BOTH)}") from None


def _config(case: str, settings: Mapping[str, Any]) -> TrainConfig:
    hints = typing.get_type_hints(TrainConfig)
    values: dict[str, Any] = {}
    for key, value in settings.items():
        if key in _BENCH_SETS:
            raise ConfigError(key, value, f"case {case!r}: leave it out, {_BENCH_SETS[key]}")
        _known({key: value}, [name for name in hints if name not in _BENCH_SETS], f"of case {case!r}")
        values[key] = Path(_typed(key, value, str)) if hints[key] is Path else _typed(key, value, hints[key])
    return TrainConfig(**values)


def _known(raw: Mapping[str, Any], known: typing.Collection[str], place: str) -> None:
    for key, value in raw.items():
        if key not in known:
            raise ConfigError(key, value, f"is no setting {place}; there are {', '.join(known)}")


def _typed(key: str, value: Any, kind: type) -> Any:
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise ConfigError(key, value, f"must be of type {kind.__name__}")
    return value


def _list(raw: Mapping[str, Any], key: str, default: list[Any]) -> list[Any]:
    value = raw.get(key, default)
    if not isinstance(value, list):
        raise ConfigError(key, value, "must be a list in [brackets]")
    return value


def _table(raw: Mapping[str, Any], key: str, default: dict[str, Any]) -> dict[str, Any]:
    value = raw.get(key, default)
    if not isinstance(value, dict):
        raise ConfigError(key, value, f"must be a table: write [{key}]")
    return value
