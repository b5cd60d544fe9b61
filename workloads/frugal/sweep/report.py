"""A sweep's result for people: a table, and what follows from it in words."""

from __future__ import annotations

from collections.abc import Iterator

from frugal.bench.comparison import Interval
from frugal.sweep.result import PointResult, SweepResult, mean

_COUNTER_SECONDS = 0.1  # between two movements of NVML's counter, about
_SHORT_SECONDS = 5.0  # a measurement in which that is more than 2 %
_COLUMNS = ("point", "steps/s", "W", "J/step", "saving %", "slowdown %")


def report(result: SweepResult, max_slowdown_percent: float) -> str:
    """The table and the conclusions."""
    rows = [_COLUMNS, *(_row(one) for one in result.results())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join([_head(result), "", *lines, "", *_conclusions(result, max_slowdown_percent)]) + "\n"


def _head(result: SweepResult) -> str:
    mark = "SIMULATED: joules, watts and speed are of the simulated NVML, not of a GPU.\n" if result.simulated else ""
    rounds = len({one.round for one in result.measurements})
    return f"{mark}{result.gpu_model}, {result.work}; {rounds} rounds, joules by the {result.source}"


def _row(one: PointResult) -> tuple[str, ...]:
    return (
        str(one.point) + (" (found)" if one.saving_percent is None else ""),
        f"{mean(one.steps_per_second):.4g}",
        f"{mean(one.watts):.1f}",
        f"{one.joules_per_step:.4g}",
        _interval(one.saving_percent),
        _interval(one.slowdown_percent),
    )


def _interval(interval: Interval | None) -> str:
    if interval is None:
        return "-"
    half = interval.half_width
    return f"{interval.mean:.1f}" + ("" if half is None else f" ± {half:.1f}")


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    cells = [f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True)]
    return "  ".join([f"{row[0]:<{widths[0]}}", *cells])


def _conclusions(result: SweepResult, max_slowdown_percent: float) -> Iterator[str]:
    for title, best in (
        ("fewest joules", result.best()),
        (f"fewest joules within {max_slowdown_percent:g} % slowdown", result.best(max_slowdown_percent)),
    ):
        if best.saving_percent is None or best.slowdown_percent is None:
            yield f"{title}: {best.point}, as it was found; nothing is saved"
        else:
            saving, slowdown = _interval(best.saving_percent), _interval(best.slowdown_percent)
            yield f"{title}: {best.point}, saves {saving} % for {slowdown} % more time"
    yield (
        "± is the 95 % confidence interval of the mean over rounds, paired with the baseline of the same round. Joules"
        " are of the GPU's board only: the rest of the machine runs for the additional time."
    )
    shortest = min(one.seconds for one in result.measurements)
    if shortest < _SHORT_SECONDS:
        yield (
            f"The shortest measurement took {shortest:.2g} s. The counter moves about ten times a second, so joules may"
            f" be wrong by {100 * _COUNTER_SECONDS / shortest:.0f} %: measure more work at once."
        )
    yield _accuracy(result.losses_differ_by)


def _accuracy(differ: float | None) -> str:
    text = "Accuracy is not affected: an operating point changes how fast the same arithmetic is done, not its result."
    if differ is None:
        return text
    if differ == 0:
        return f"{text} The training loss was the same to the last bit in all measurements."
    return (
        f"{text} Training losses differed by {100 * differ:.2g} % at most, as kernels that add in any order make them."
    )
