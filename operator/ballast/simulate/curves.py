"""How fast a kind of job runs, and what it draws, at each power limit of a GPU model: what decides in the simulator.

Measured tables come first: Zeus's, or a file of the user's own. Where there are none, our own fitted curves stand in,
and whoever reports results says so. What must hold: measured points are used as they were measured. Each was measured
once, so that speed is not monotone everywhere (an A40 trained deepspeech2 0.4 % faster at 275 W than at 300 W); to
smooth that away would be to decide what is true by what is expected. And no policy sees any of this: it learns from
readings.
"""

from __future__ import annotations

import csv
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from operator import attrgetter
from pathlib import Path
from statistics import median

from ballast.errors import UserError

HEADER = ("kind", "gpu_model", "limit_watts", "work_per_second", "watts")
"""Columns of a file for `read_curves`."""

ZEUS_KINDS: Mapping[str, tuple[str, str, int, str]] = {
    "deepspeech2-192": ("librispeech", "deepspeech2", 192, "adamw"),
    "bert-squad-32": ("squad", "bert_base_uncased", 32, "adamw"),
    "bert-sentiment-128": ("sentiment140", "bert_base_uncased", 128, "adamw"),
    "resnet50-256": ("imagenet", "resnet50", 256, "adadelta"),
    "shufflenet-1024": ("cifar100", "shufflenetv2", 1024, "adadelta"),
    "ncf-1024": ("movielens-1m", "ncf", 1024, "adam"),
}
"""Dataset, network, batch size and optimizer of each kind in Zeus's tables."""

_ZEUS_FILES = {"V100": "summary_power_v100.csv", "A40": "summary_power_a40.csv"}
_ZEUS_REFERENCE = "V100"
_ZEUS_COLUMNS = ("dataset", "network", "batch_size", "optimizer", "power_limit", "time_per_epoch", "average_power")
_NOISE = frozenset({"ncf-1024"})
"""Kinds whose differences between power limits are noise alone. NCF draws 38 W on a V100 and 84 W on an A40, so that
even the lowest limit of 100 W never binds; yet its times per epoch differ by up to 10 % from one limit to the next. A
policy that picked the best of them would be paid for luck. Their median over all limits is what they are."""


@dataclass(frozen=True, slots=True)
class _Fit:
    """Our own fit of one kind on one GPU model, see `fitted_curves`.

    Attributes:
        speed: Work per second at the maximum limit.
        demand_watts: What it would draw without a limit.
        least_watts: Below which no limit gets it.
        static_watts: Power that does no work.
        sensitivity: Share of the time that depends on power; 0 where limits never bind.
    """

    speed: float
    demand_watts: float
    least_watts: float
    static_watts: float
    sensitivity: float


_FITS: Mapping[str, tuple[float, tuple[float, ...], Mapping[str, _Fit]]] = {
    # GPU model: how sharply limit and demand meet, the limits, and a row for each kind.
    "V100": (
        2.63,
        (100, 125, 150, 175, 200, 225, 250),
        {
            "deepspeech2-192": _Fit(1.0, 182, 106, 21, 0.078),
            "bert-squad-32": _Fit(1.0, 400, 102, 3, 0.098),
            "bert-sentiment-128": _Fit(1.0, 389, 101, 3, 0.080),
            "resnet50-256": _Fit(1.0, 360, 89, 15, 0.067),
            "shufflenet-1024": _Fit(1.0, 221, 68, 8, 0.073),
            "ncf-1024": _Fit(1.0, 38, 0, 0, 0.0),
        },
    ),
    "A40": (
        3.27,
        (100, 125, 150, 175, 200, 225, 250, 275, 300),
        {
            "deepspeech2-192": _Fit(0.635, 179, 119, 75, 0.090),
            "bert-squad-32": _Fit(1.906, 367, 111, 54, 0.062),
            "bert-sentiment-128": _Fit(2.055, 400, 105, 43, 0.069),
            "resnet50-256": _Fit(0.914, 282, 122, 67, 0.057),
            "shufflenet-1024": _Fit(0.893, 261, 113, 76, 0.029),
            "ncf-1024": _Fit(0.946, 85, 0, 0, 0.0),
        },
    ),
}

_SAME = 1e-3
"""How far from one second of work a second the reference GPU model may be: files are rounded."""


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """What one GPU does at one power limit.

    Attributes:
        limit_watts: Its power limit.
        work_per_second: Seconds of work on the reference GPU model at its maximum limit that are done each second.
        watts: Mean power, idle power included. It may exceed the limit: a cap is not a hard ceiling.
    """

    limit_watts: float
    work_per_second: float
    watts: float


_limit_of = attrgetter("limit_watts")


@dataclass(frozen=True, slots=True)
class Curve:
    """One kind of job on one GPU model: linear between its points, constant beyond them.

    Attributes:
        points: At least one, by ascending limit.
    """

    kind: str
    gpu_model: str
    points: tuple[CurvePoint, ...]

    def __post_init__(self) -> None:
        what = f"curve of {self.kind} on {self.gpu_model}"
        if not self.points:
            raise UserError(f"{what}: has no points: give one for each measured power limit")
        for point in self.points:
            for name in CurvePoint.__slots__:
                value = getattr(point, name)
                if not (math.isfinite(value) and value > 0):
                    raise UserError(f"{what}: {name} is {value:g}: must be a number above 0")
        for low, high in pairwise(self.points):
            if low.limit_watts >= high.limit_watts:
                raise UserError(
                    f"{what}: limit_watts {high.limit_watts:g} follows {low.limit_watts:g}: "
                    "give each power limit once, the lowest first"
                )

    @property
    def min_limit_watts(self) -> float:
        """The lowest limit with a point."""
        return self.points[0].limit_watts

    @property
    def max_limit_watts(self) -> float:
        """The highest limit with a point."""
        return self.points[-1].limit_watts

    def speed(self, limit_watts: float) -> float:
        """Seconds of reference work that one GPU does each second at a power limit."""
        low, high, share = self._between(limit_watts)
        return low.work_per_second + share * (high.work_per_second - low.work_per_second)

    def watts(self, limit_watts: float) -> float:
        """Mean power of one GPU at a power limit, idle power included."""
        low, high, share = self._between(limit_watts)
        return low.watts + share * (high.watts - low.watts)

    def _between(self, limit_watts: float) -> tuple[CurvePoint, CurvePoint, float]:
        after = bisect_right(self.points, limit_watts, key=_limit_of)
        if after == 0:
            return self.points[0], self.points[0], 0.0
        if after == len(self.points):
            return self.points[-1], self.points[-1], 0.0
        low, high = self.points[after - 1], self.points[after]
        return low, high, (limit_watts - low.limit_watts) / (high.limit_watts - low.limit_watts)


@dataclass(frozen=True, slots=True)
class Curves:
    """Curves of several kinds on several GPU models.

    A job on n GPUs does n times the work of one and draws n times its watts.

    Attributes:
        source: Where they are from, for reports.
        measured: Whether the points were measured; False for `fitted_curves`.
        reference_model: On whose GPUs at the maximum limit a second does one second of work.
        curves: One for each kind and GPU model at most.
    """

    source: str
    measured: bool
    reference_model: str
    curves: tuple[Curve, ...]
    _by_kind_and_model: dict[tuple[str, str], Curve] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index: dict[tuple[str, str], Curve] = {}
        for curve in self.curves:
            if index.setdefault((curve.kind, curve.gpu_model), curve) is not curve:
                raise UserError(f"{self.source}: gives two curves of {curve.kind} on {curve.gpu_model}: keep one")
        object.__setattr__(self, "_by_kind_and_model", index)

    @property
    def kinds(self) -> tuple[str, ...]:
        """All kinds, in the order in which they are given."""
        return tuple(dict.fromkeys(curve.kind for curve in self.curves))

    @property
    def models(self) -> tuple[str, ...]:
        """All GPU models, in the order in which they are given."""
        return tuple(dict.fromkeys(curve.gpu_model for curve in self.curves))

    def of(self, kind: str, gpu_model: str) -> Curve:
        """The curve of a kind of job on a GPU model.

        Raises:
            UserError: There is none.
        """
        curve = self._by_kind_and_model.get((kind, gpu_model))
        if curve is None:
            known = [c.gpu_model for c in self.curves if c.kind == kind]
            has = f"{kind} only on {', '.join(known)}" if known else f"only the kinds {', '.join(self.kinds)}"
            raise UserError(
                f"no curve of kind {kind!r} on GPU model {gpu_model!r}: {self.source} has {has}; use one of these, "
                f"or give your own measurements with --curves FILE ({','.join(HEADER)})"
            )
        return curve


def zeus_curves(folder: Path) -> Curves:
    """Six kinds of jobs on V100 and A40, as measured for the Zeus paper (NSDI 2023).

    Work is counted against the V100 at its maximum limit of 250 W: a point's ``work_per_second`` is the time per epoch
    there over the time per epoch at the point.

    Args:
        folder: With ``summary_power_v100.csv`` and ``summary_power_a40.csv``.

    Raises:
        UserError: A file is missing, or lacks what is needed.
    """
    tables = {model: _rows(folder / name, _ZEUS_COLUMNS) for model, name in _ZEUS_FILES.items()}
    curves = []
    for kind, configuration in ZEUS_KINDS.items():
        measured = {
            model: _zeus_points(kind, configuration, folder / _ZEUS_FILES[model], rows)
            for model, rows in tables.items()
        }
        reference_seconds = measured[_ZEUS_REFERENCE][-1][1]
        for model, points in measured.items():
            work = tuple(CurvePoint(limit, reference_seconds / seconds, watts) for limit, seconds, watts in points)
            curves.append(Curve(kind, model, work))
    return Curves("Zeus (NSDI 2023), measured on V100 and A40", True, _ZEUS_REFERENCE, tuple(curves))


def read_curves(path: Path) -> Curves:
    """Curves of a CSV file with the columns kind, gpu_model, limit_watts, work_per_second, watts; lines in any order.

    The reference GPU model is the first on which every kind does one second of work a second at its highest limit.

    Raises:
        UserError: The file cannot be read or used; the message names line and remedy.
    """
    points: dict[tuple[str, str], list[CurvePoint]] = {}
    for line, row in _rows(path, HEADER):
        where = f"{path}, line {line}"
        for name in ("kind", "gpu_model"):
            if not row[name]:
                raise UserError(f"{where}: {name} is empty: name it in every line")
        numbers = (_positive(row, name, where) for name in HEADER[2:])
        points.setdefault((row["kind"], row["gpu_model"]), []).append(CurvePoint(*numbers))
    if not points:
        raise UserError(f"{path}: has no curves: add lines such as resnet50-256,V100,250,1,220 below its header")
    curves = tuple(Curve(kind, model, _ascending(found)) for (kind, model), found in points.items())
    return Curves(str(path), True, _reference_model(curves, path), curves)


def fitted_curves() -> Curves:
    """Curves of the same six kinds on V100 and A40 without any data: from our own fit to what Zeus measured.

    Power at a limit L is (max(L, least)^-k + demand^-k)^(-1/k), with one k for each GPU model; time against that at the
    maximum limit is 1 - sensitivity + sensitivity / share³, where share is power above the static one, over the same at
    the maximum limit. Least squares of logarithms, robust to outliers. Root mean square error of speed and power over
    all limits: at most 1.4 % and 1.7 % on the V100 (but for shufflenet's power, 5.8 %), 3.4 % and 2.2 % on the A40.
    """
    curves = [
        Curve(kind, model, tuple(_fitted_point(fit, sharpness, limit, limits[-1]) for limit in limits))
        for model, (sharpness, limits, fits) in _FITS.items()
        for kind, fit in fits.items()
    ]
    source = "our own parametric fit to Zeus (NSDI 2023), NOT measurements: speed within about 3 %, power within 6 %"
    return Curves(source, False, _ZEUS_REFERENCE, tuple(curves))


def _fitted_point(fit: _Fit, sharpness: float, limit_watts: float, max_limit_watts: float) -> CurvePoint:
    def watts(limit: float) -> float:
        if not fit.sensitivity:
            return fit.demand_watts
        bound: float = max(limit, fit.least_watts)
        return float((bound**-sharpness + fit.demand_watts**-sharpness) ** (-1 / sharpness))

    share = (watts(limit_watts) - fit.static_watts) / (watts(max_limit_watts) - fit.static_watts)
    time = 1 - fit.sensitivity + fit.sensitivity / share**3
    return CurvePoint(float(limit_watts), fit.speed / time, watts(limit_watts))


def _ascending(points: Iterable[CurvePoint]) -> tuple[CurvePoint, ...]:
    return tuple(sorted(points, key=_limit_of))


def _reference_model(curves: Sequence[Curve], path: Path) -> str:
    kinds = {curve.kind for curve in curves}
    at_maximum: dict[str, dict[str, float]] = {}
    for curve in curves:
        at_maximum.setdefault(curve.gpu_model, {})[curve.kind] = curve.points[-1].work_per_second
    for model, speeds in at_maximum.items():
        if speeds.keys() == kinds and all(abs(speed - 1) <= _SAME for speed in speeds.values()):
            return model
    raise UserError(
        f"{path}: on no gpu_model is work_per_second 1 for all kinds at the highest limit: divide each kind's column "
        "by its value on the GPU model whose seconds the trace states, at its highest limit"
    )


def _rows(path: Path, columns: Sequence[str]) -> list[tuple[int, dict[str, str]]]:
    """Line number and cells of a CSV file's lines."""
    header = ",".join(columns)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}): name a CSV file with the columns {header}") from error
    reader = csv.DictReader(text.splitlines(), skipinitialspace=True)
    missing = [name for name in columns if name not in (reader.fieldnames or ())]
    if missing:
        raise UserError(f"{path}, line 1: lacks the column {', '.join(missing)}: the first line must be {header}")
    rows = []
    for row in reader:
        if any(row[name] is None for name in columns):
            raise UserError(f"{path}, line {reader.line_num}: is too short: write a value for each of {header}")
        rows.append((reader.line_num, {name: row[name].strip() for name in columns}))
    return rows


def _zeus_points(
    kind: str, configuration: tuple[str, str, int, str], path: Path, rows: Sequence[tuple[int, dict[str, str]]]
) -> list[tuple[float, float, float]]:
    """Limit, time per epoch and mean power of a kind, by ascending limit."""
    dataset, network, batch, optimizer = configuration
    wanted = [dataset, network, str(batch), optimizer]
    points = []
    for line, row in rows:
        if [row[name] for name in _ZEUS_COLUMNS[:4]] == wanted:
            where = f"{path}, line {line}"
            limit, seconds, watts = (_positive(row, name, where) for name in _ZEUS_COLUMNS[4:])
            points.append((limit, seconds, watts))
    if not points:
        raise UserError(f"{path}: has no line {','.join(wanted)}: take Zeus's table as it was published")
    points.sort()
    if kind in _NOISE:
        seconds, watts = (median(point[column] for point in points) for column in (1, 2))
        points = [(limit, seconds, watts) for limit, _, _ in points]
    return points


def _positive(row: Mapping[str, str], name: str, where: str) -> float:
    try:
        value = float(row[name])
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value > 0):
        raise UserError(f"{where}: {name} is {row[name]!r}: write a number above 0")
    return value
