"""What a recording holds, for people: how trainings went, what they cost, and a plot.

A training's course is told by simple rules that are stated here, in this order; they are descriptions for this summary,
no rule that stops anything.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path

from frugal.curves.recording import Curve, Recording

TAIL = 0.25  # the last share of the evaluations, in which a plateau shows
PLATEAU_POINTS = 1.0  # percentage points of accuracy by which the best still rose in the tail, at most
OVERFIT = 1.1  # the last validation loss over the least one, from here on
RISE = 1.5  # a training loss that ends so far above its least, or not as a number, has diverged
CLASSES = 10
_LOSSES = 1e-4, 20.0  # that are drawn: one training that diverged would flatten all others to a line
_AXES = (("val_accuracy", "validation accuracy"), ("val_loss", "validation loss"), ("train_loss", "training loss"))


class Course(StrEnum):
    """How a training went."""

    DIVERGED = "diverged"
    NEVER_LEARNED = "never learned"
    OVERFIT = "overfit"
    PLATEAUED = "plateaued"
    IMPROVING = "still improving"


def course(curve: Curve) -> Course:
    """How ``curve`` went.

    Diverged: the training loss ends above `RISE` times its least, or at no number. Never learned: the best accuracy is
    below twice that of guessing. Overfit: the validation loss ends at `OVERFIT` times its least or above, while the
    training loss fell on. Plateaued: the best accuracy rose by `PLATEAU_POINTS` at most in the last `TAIL` of the
    evaluations.
    """
    train, held_out, accuracy = (curve.columns[name] for name in ("train_loss", "val_loss", "val_accuracy"))
    least = min((loss for loss in train if math.isfinite(loss)), default=math.nan)
    if not (math.isfinite(train[-1]) and math.isfinite(held_out[-1]) and train[-1] <= RISE * max(least, 0.1)):
        return Course.DIVERGED
    if max(accuracy) < 2 / CLASSES:
        return Course.NEVER_LEARNED
    best = min(range(len(curve)), key=lambda n: held_out[n] if math.isfinite(held_out[n]) else math.inf)
    if held_out[-1] >= OVERFIT * held_out[best] and train[-1] < train[best]:
        return Course.OVERFIT
    tail = max(1, round(len(curve) * TAIL))
    if 100 * (max(accuracy) - max(accuracy[:-tail], default=0.0)) <= PLATEAU_POINTS:
        return Course.PLATEAUED
    return Course.IMPROVING


def describe(recording: Recording, size_bytes: int) -> str:
    """A page about a recording."""
    curves = recording.curves
    made = recording.made
    machine = f"{made.get('processor')}, {made.get('processors')} hardware threads, torch {made.get('torch')}"
    lines = [
        f"{len(curves)} trainings, {sum(map(len, curves))} evaluations, {size_bytes / 1e6:.2f} MB",
        f"ranges {recording.ranges.digest}; made on {machine}",
    ]
    return "\n".join([*lines, *(_facts(curves) if curves else ())])


def _facts(curves: Sequence[Curve]) -> Iterator[str]:
    lengths = sorted(map(len, curves))
    yield f"evaluations a training: {lengths[0]} to {lengths[-1]}"
    for name, unit in (("cpu_seconds", "s of processor time"), ("seconds", "s"), ("joules", "J")):
        last = sorted(curve.columns[name][-1] for curve in curves)
        yield f"{sum(last):,.0f} {unit} in all; median {last[len(last) // 2]:.1f}, most {last[-1]:.1f}"
    for (measured, by), count in sorted(Counter((curve.measured, curve.joules_by) for curve in curves).items()):
        yield f"joules of {count}: {'measured' if measured else 'ESTIMATED'} ({by})"
    for name in ("data", "model", "optimizer", "schedule", "technique"):
        counted = Counter(str(curve.draw.values.get(name)) for curve in curves)
        yield f"{name}: " + ", ".join(f"{value} {count}" for value, count in counted.most_common())
    counted = Counter(course(curve) for curve in curves)
    yield "course: " + ", ".join(f"{one} {counted[one]}" for one in Course)
    best = sorted(max(curve.columns["val_accuracy"]) for curve in curves)
    cuts = ", ".join(f"{share:.0%} {best[round(share * (len(best) - 1))]:.3f}" for share in (0.1, 0.5, 0.9))
    yield f"best validation accuracy by quantile: {cuts}"


def plot(recording: Recording, path: Path) -> None:
    """All curves over the share of their steps, coloured by their course, as an image."""
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(13, 4), layout="constrained")
    courses = list(Course)
    for axes, (column, label) in zip(figure.subplots(1, len(_AXES)), _AXES, strict=True):
        for curve in recording.curves:
            steps, colour = curve.columns["step"], f"C{courses.index(course(curve))}"
            axes.plot([step / steps[-1] for step in steps], curve.columns[column], color=colour, alpha=0.35, lw=0.7)
        axes.set(xlabel="share of the training's steps", ylabel=label)
        if column != "val_accuracy":
            axes.set_yscale("log")
            shown = [value for curve in recording.curves for value in curve.columns[column] if value > 0]
            low, high = (
                min(max(end, _LOSSES[0]), _LOSSES[1]) for end in (min(shown, default=1), max(shown, default=1))
            )
            axes.set_ylim(low / 1.2, high * 1.2)
    handles = [axes.plot([], [], color=f"C{number}", label=one.value)[0] for number, one in enumerate(courses)]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(courses))
    figure.savefig(path, dpi=110)
