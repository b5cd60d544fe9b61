"""What a search found, as a table, as JSON and as a drawing.

What must hold: a search's own scores never stand without the words that they are brief, from one seed, and chosen for
being good; every joule says whether it was measured, and by what, or estimated, and how.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from frugal.bench.comparison import Comparison, Interval
from frugal.bench.records import Phase
from frugal.bench.tables import NOTHING, Column, Kind, percent, points, render, short, table
from frugal.config import TrainConfig
from frugal.search.finals import Winner, finalists, name_of
from frugal.search.objective import PLAIN
from frugal.search.space import specs
from frugal.search.study import Score, Tried, solutions

_COLUMNS = (
    Column(heading="design"),
    Column(heading="accuracy", numeric=True),
    Column(heading="joules", numeric=True),
    Column(heading="saving", numeric=True),
    Column(heading="FLOPs/answer", numeric=True),
    Column(heading="model bytes", numeric=True),
)


@dataclass(frozen=True, kw_only=True)
class Found:
    """All that a search came to.

    Attributes:
        ended: Why it ended; see `frugal.search.study.Search.run`.
        config: Of the search's trainings.
        share: Of the training examples that they learned from.
        phase: What was to become cheap.
        least_accuracy: Below, at the search's fidelity, a design is no solution.
        max_drop: The same, as the percentage points that may be lost.
        baseline: What plain training scored.
        tried: Designs that were trained, or failed while they were.
        refused: Those that techniques refused before.
        final_config: Of the final trainings.
        comparisons: Their figures; empty without finals.
        winners: The finalists, judged.
        best: The one of them that won, if one did.
    """

    ended: str
    config: TrainConfig
    share: float
    phase: Phase
    least_accuracy: float
    max_drop: float
    baseline: Score
    tried: Sequence[Tried]
    final_config: TrainConfig
    refused: Sequence[Tried] = ()
    comparisons: Sequence[Comparison] = ()
    winners: Sequence[Winner] = ()
    best: Winner | None = None

    @property
    def front(self) -> list[Tried]:
        """Designs that no other beats, cheapest first."""
        return solutions(self.tried)


def as_text(found: Found) -> str:
    """For people."""
    failed = sum(one.infeasible is not None for one in found.tried)
    first = (
        f"{_designs(len(found.tried))} tried{f', {failed} of them failed' if failed else ''} ({found.ended}); "
        f"{len(found.refused)} more drawn and refused as combinations, untrained.\n"
        f"The Pareto front, joules {_unit(found)}, {found.baseline.joules_by}:\n"
    )
    caveat = (
        f"These scores are the search's own, from {found.config.epochs} epochs on {_share(found)} of the training "
        f"examples, one seed ({found.config.seed}).\n"
        "Chosen for being good, they are too good on average: what counts are the figures from seeds it has not seen.\n"
    )
    rows = [_row(PLAIN, found.baseline, found.baseline), *_front_rows(found)]
    return "\n".join([first, table(_COLUMNS, rows), *_legend(found), caveat, _finals(found)]).rstrip() + "\n"


def as_json(found: Found) -> str:
    """One line, for programs: the front, what was refused and why, the final figures, the winner."""
    return json.dumps(
        {
            "ended": found.ended,
            "phase": found.phase,
            "fidelity": {"epochs": found.config.epochs, "share": found.share, "seed": found.config.seed},
            "least_accuracy": found.least_accuracy,
            "baseline": asdict(found.baseline),
            "tried": len(found.tried),
            "front": [_plain(found, one) for one in found.front],
            "infeasible": [_plain(found, one) for one in (*found.tried, *found.refused) if one.infeasible is not None],
            "finals": [asdict(comparison) for comparison in found.comparisons],
            "finalists": [asdict(one) for one in found.winners],
            "best": None
            if found.best is None
            else {**asdict(found.best), "command": command_line(found.final_config, found.best.tried)},
        }
    )


def draw(found: Found, stem: Path) -> list[Path]:
    """The front and plain training as a drawing; returns what was written beside ``stem``."""
    from frugal.bench import plots

    by = found.baseline.joules_by
    by_time = by.startswith("estimated: CPU time")
    kind = Kind.MEASURED if by.startswith("measured") else Kind.TIME if by_time else Kind.OPERATIONS

    def point(label: str, score: Score) -> plots.Point:
        return plots.Point(label=label, kind=kind, joules=_alone(score.joules), accuracy=_alone(score.accuracy))

    return plots.draw_pareto(
        [
            point(PLAIN, found.baseline),
            *(point(name_of(one), one.score) for one in found.front if one.score is not None),
        ],
        stem,
        title=f"{found.config.data}: what a search found",
        phase=found.phase,
        footnote=f"{by}. The search's own scores: {found.config.epochs} epochs on {_share(found)} of the training "
        "examples, one seed, chosen for being good.",
    )


def command_line(config: TrainConfig, tried: Tried) -> str:
    """How to train the design, with the settings of ``config`` that are not the defaults."""
    words = ["frugal", "train"]
    plain = TrainConfig()
    for field in ("data", "data_dir", "model", "epochs", "batch_size", "lr", "weight_decay"):
        value = getattr(config, field)
        if value != getattr(plain, field) or field in ("data", "model", "epochs"):
            words += [f"--{field.replace('_', '-')}", str(value)]
    for spec in specs(tried.design, config.epochs):
        words += ["--with", spec]
    return shlex.join(words)


def _plain(found: Found, tried: Tried) -> dict[str, Any]:
    return {**asdict(tried), "design": specs(tried.design, found.config.epochs)}


def _front_rows(found: Found) -> list[tuple[str, ...]]:
    return [_row(name_of(one), one.score, found.baseline) for one in found.front if one.score is not None]


def _legend(found: Found) -> list[str]:
    """What the names in the table stand for: a technique a line, since a stack is wider than a terminal."""
    lines = []
    for one in found.front:
        words = specs(one.design, found.config.epochs) or (PLAIN,)
        name = name_of(one)
        lines += [f"{name if place == 0 else '':<5} {word}" for place, word in enumerate(words)]
    return ["As --with takes them:", *lines, ""] if lines else []


def _row(name: str, score: Score, baseline: Score) -> tuple[str, ...]:
    saving = NOTHING if score is baseline else percent(_alone(100 * (1 - score.joules / baseline.joules)))
    return (
        name,
        percent(_alone(score.accuracy), scale=100),
        f"{score.joules:.3g}",
        saving,
        short(score.flops),
        short(score.bytes),
    )


def _finals(found: Found) -> str:
    if found.ended == "interrupted":
        return "Interrupted: the same command goes on."
    if not found.comparisons:
        return (
            "No finals. Designs that are cheaper than plain training and as accurate as demanded "
            f"({percent(_alone(found.least_accuracy), scale=100)} at the search's fidelity): "
            f"{len(finalists(found.tried, found.baseline, found.least_accuracy, len(found.tried)))}."
        )
    seeds = len(found.comparisons[0].seeds)
    return (
        f"The finalists again, {found.final_config.epochs} epochs on all training examples, "
        f"{seeds} new seed{'' if seeds == 1 else 's'}:\n\n{render(found.comparisons)}\n\n{_verdict(found)}"
    )


def _verdict(found: Found) -> str:
    best = found.best
    if best is None:
        return f"None of them kept its accuracy within {_drop(found)} and saved energy: there is nothing to recommend."
    return (
        f"The first that stays within {_drop(found)} of accuracy is {name_of(best.tried)}: it saves "
        f"{percent(best.saving)} of the joules {_unit(found)}\n"
        f"({'measured' if best.measured else 'estimated'} by {best.by}), and changes accuracy by "
        f"{points(best.accuracy_change_points)} points.\n{_doubt(found, best)}\n"
        f"  {command_line(found.final_config, best.tried)}"
    )


def _doubt(found: Found, best: Winner) -> str:
    """What the means above do not say of themselves."""
    saving, change = best.saving, best.accuracy_change_points
    if saving is None or saving.low is None or change is None or change.low is None:
        return "One seed tells no interval, so this may be luck: use more --final-seeds.\n"
    doubts = []
    if saving.low <= 0:
        doubts.append("no saving at all")
    if change.low < -found.max_drop:
        doubts.append(f"a loss beyond {_drop(found)}")
    return f"The intervals include {' and '.join(doubts)}: use more --final-seeds.\n" if doubts else ""


def _designs(count: int) -> str:
    return f"{count} design{'' if count == 1 else 's'}"


def _unit(found: Found) -> str:
    return "for an answer" if found.phase is Phase.INFERENCE else "of a training"


def _share(found: Found) -> str:
    return f"{100 * found.share:g} %"


def _drop(found: Found) -> str:
    return f"{found.max_drop:g} percentage point{'' if found.max_drop == 1 else 's'}"


def _alone(value: float) -> Interval:
    return Interval(mean=value, low=None, high=None, n=1)
