"""A search without trainings: designs whose accuracy and joules are known, and with them the best front there is."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from frugal.errors import TechniqueError
from frugal.search.pareto import Point, front, hypervolume
from frugal.search.space import Design, StackSpace
from frugal.search.study import Limits, Score, Search, Tried
from frugal.signals import StopSignals

SLOTS: Mapping[str, Sequence[str]] = {
    "width": [f"width={n}" for n in range(8)],
    "depth": [f"depth={n}" for n in range(8)],
    "kernel": ["kernel=3", "kernel=5", "kernel=7"],
    "waste": ["", "waste=1", "waste=2"],
}
WORST = Point(accuracy=0.3, joules=100.0)


def score(design: Design) -> Score:
    """Width pays until it does not, depth pays less, larger kernels and waste only cost."""
    chosen = {key: int(value) for key, _, value in (word.partition("=") for word in design)}
    width, depth = chosen["width"], chosen["depth"]
    joules = 2**width * (1 + 0.3 * depth) * chosen["kernel"] ** 2 / 9 * (1 + chosen.get("waste", 0)) / 10
    accuracy = 0.5 + 0.06 * width - 0.002 * width**2 + 0.015 * depth - 0.01 * (chosen["kernel"] - 3)
    return Score(accuracy=accuracy, joules=joules, joules_by="counted")


@dataclass
class Synthetic:
    """Scores, and keeps what was asked.

    Attributes:
        refused: Designs with one of these words cannot be run.
        on_call: What happens when the design of that place, from 1, is asked for.
    """

    refused: tuple[str, ...] = ()
    on_call: Mapping[int, Callable[[], object]] = field(default_factory=dict)
    asked: list[Design] = field(default_factory=list)

    def __call__(self, design: Design) -> Score:
        self.asked.append(design)
        self.on_call.get(len(self.asked), lambda: None)()
        for word in self.refused:
            if word in design:
                raise TechniqueError(f"{word} cannot be combined")
        return score(design)


def search(folder: Path, sampler: str = "tpe", seed: int = 0, slots: Mapping[str, Sequence[str]] = SLOTS) -> Search:
    """A search of `SLOTS` in ``folder``."""
    return Search(folder, StackSpace(slots=slots), settings={"data": "none"}, sampler=sampler, seed=seed)


def run(
    folder: Path, trials: int, objective: Synthetic | None = None, sampler: str = "tpe", seed: int = 0
) -> list[Tried]:
    """What a search tries, to its end."""
    one = search(folder, sampler, seed)
    assert one.run(objective or Synthetic(), Limits(trials=trials), StopSignals()) == "completed"
    return one.tried()


def covered(tried: Sequence[Tried]) -> float:
    """Hypervolume of what was tried, in logarithms of joules as samplers see them."""
    return hypervolume([one.score.point for one in tried if one.score is not None], WORST)


def best_front() -> set[Design]:
    """The designs of the true front, by looking at all of them."""
    designs = [tuple(word for word in words if word) for words in itertools.product(*SLOTS.values())]
    return {designs[place] for place in front([score(design).point for design in designs])}
