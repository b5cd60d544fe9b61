"""The search itself: Optuna proposes designs, an evaluation scores them, and a journal keeps what was tried.

What must hold: a search that was broken off goes on where it was. The sampler gets a new seed for each draw, from the
search's seed and the number of draws so far, and keeps no other memory than the journal: with scores that do not vary
(estimates from counted operations), a resumed search is the uninterrupted one, draw by draw. Measured joules vary, and
with them what is drawn next. A trial that was under way is thrown away and drawn again; no design is scored twice.

Samplers: TPE for several objectives (Ozaki et al., "Multiobjective Tree-Structured Parzen Estimator", 2022) and NSGA-II
(Deb et al., 2002), with constrained domination. A combination that the techniques refuse is kept as infeasible, with
the reason, and TPE is told so. If it is refused before it is trained, it counts as no trial: another is drawn.
"""

from __future__ import annotations

import fcntl
import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frugal.bench.trial import Interrupted
from frugal.costs.estimate import EstimateError
from frugal.errors import ConfigError, TechniqueError
from frugal.search.pareto import Point, front
from frugal.search.space import Design, Space
from frugal.signals import StopSignals

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

log = logging.getLogger(__name__)

TPE = "tpe"
NSGA2 = "nsga2"
RANDOM = "random"
SAMPLERS = (TPE, NSGA2, RANDOM)
FIRST_RANDOM = 10
"""Designs that are drawn blindly before TPE has something to learn from."""
POPULATION = 20
CANDIDATES = 2
"""Of which TPE takes the better: designs are few, and the best of its usual 24 is mostly one that is known."""
STUCK = 5
"""Draws in a row that are known or refused after which the next ones are blind; a hundred blind ones end the search."""
EXHAUSTED = 100
DEFECTS = 3
"""Designs in a row that fail for no reason of their own: what is wrong is something else, and ends the search."""
JOURNAL = "journal.log"

# Attributes of trials, and of the study.
_DESIGN, _SCORE, _INFEASIBLE, _DUPLICATE, _UNTRAINED = "design", "score", "infeasible", "duplicate", "untrained"
_SETTINGS, _BASELINE = "settings", "baseline"


@dataclass(frozen=True, kw_only=True)
class Score:
    """What a design reached, at the search's fidelity.

    Attributes:
        accuracy: On validation examples.
        joules: What is minimized, above 0: for one answer, or for the whole training.
        joules_by: The counter, or the model that estimates them.
        flops: To answer for one example.
        parameters: Of the deployed model.
        bytes: That it is stored in.
    """

    accuracy: float
    joules: float
    joules_by: str
    flops: float = 0.0
    parameters: int = 0
    bytes: int = 0

    @property
    def point(self) -> Point:
        """Its place among others."""
        return Point(accuracy=self.accuracy, joules=self.joules)


Evaluate = Callable[[Design], Score]
"""Scores a design; raises TechniqueError or ConfigError for one that cannot be run."""

Check = Callable[[Design], None]
"""Raises the same for what is known to be refused without training it."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """A design that was drawn.

    Attributes:
        number: The trial's, in the journal.
        score: None for what cannot be run.
        infeasible: Why it cannot.
    """

    number: int
    design: Design
    score: Score | None
    infeasible: str | None = None


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a search ends.

    Attributes:
        trials: Designs that were tried, earlier attempts counted in; not those that were refused before training.
        seconds: Of this attempt: no trial is begun that would likely end later; None without limit.
        least_accuracy: Designs below do not count as solutions; None permits all.
    """

    trials: int
    seconds: float | None = None
    least_accuracy: float | None = None


class Search:
    """One search, in a folder that holds all there is to know of it.

    Args:
        folder: Where the journal is, or will be.
        space: What can be drawn.
        settings: What else decides the scores, as plain values: the search goes on only under the same.
        sampler: One of `SAMPLERS`.
        seed: Of the draws.
        clock: Monotonic seconds.

    Raises:
        ConfigError: The folder holds another search.
    """

    def __init__(
        self,
        folder: Path,
        space: Space,
        *,
        settings: Mapping[str, object],
        sampler: str = TPE,
        seed: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if sampler not in SAMPLERS:
            raise ConfigError("sampler", sampler, f"use one of {', '.join(SAMPLERS)}")
        self._space, self._sampler, self._seed, self._clock = space, sampler, seed, clock
        self._study = _open(folder / JOURNAL)
        _require_same(
            self._study, {**settings, "space": dict(space.describe()), "sampler": sampler, "seed": seed}, folder
        )
        self._give_up_running()

    def tried(self) -> list[Tried]:
        """What was scored, or failed in its trial, so far, in the order of the draws."""
        return [_tried(trial) for trial in self._new_draws() if _UNTRAINED not in trial.user_attrs]

    def refused(self) -> list[Tried]:
        """What was refused before it was trained, in the order of the draws."""
        return [_tried(trial) for trial in self._new_draws() if _UNTRAINED in trial.user_attrs]

    def baseline(self, evaluate: Evaluate) -> Score:
        """What plain training scores: evaluated once, and kept."""
        stored = self._study.user_attrs.get(_BASELINE)
        if stored is not None:
            return Score(**stored)
        score = evaluate(())
        self._study.set_user_attr(_BASELINE, asdict(score))
        return score

    def run(
        self,
        evaluate: Evaluate,
        limits: Limits,
        signals: StopSignals,
        report: Callable[[Tried], None] = lambda tried: None,
        *,
        check: Check = lambda design: None,
    ) -> str:
        """Draw and score until a limit is reached.

        Args:
            evaluate: What scores.
            limits: When to end.
            signals: Where stop requests arrive.
            report: Told of each design that was tried.
            check: What refuses designs before they are trained.

        Returns:
            Why it ended: ``completed``, ``out of time``, ``exhausted`` (nothing new is drawn any more) or
            ``interrupted``.
        """
        began = self._clock()
        count = done_before = len(self.tried())
        known = {_tried(trial).design for trial in self._new_draws()}
        defects = 0
        while count < limits.trials:
            if signals.requested is not None:
                return "interrupted"
            elapsed, fresh = self._clock() - began, count - done_before
            typical = elapsed / fresh if fresh else 0.0
            if limits.seconds is not None and elapsed + typical > limits.seconds:
                return "out of time"
            drawn = self._draw_new(known, check)
            if drawn is None:
                return "exhausted"
            trial, design = drawn
            try:
                score = evaluate(design)
            except (Interrupted, SystemExit):  # the latter from a teacher's training
                if signals.requested is None:
                    raise
                self._study.tell(trial, state=_states().FAIL)
                return "interrupted"
            except (TechniqueError, ConfigError, EstimateError) as error:
                self._keep_infeasible(trial, str(error))
                defects = 0
            except Exception as error:  # a night's search does not end for one design's defect
                defects += 1
                if defects == DEFECTS:
                    self._study.tell(trial, state=_states().FAIL)
                    raise
                log.exception("design %s", " + ".join(design))
                self._keep_infeasible(trial, f"{type(error).__name__}: {error}")
            else:
                self._keep(trial, score, limits.least_accuracy)
                defects = 0
            known.add(design)
            count += 1
            report(_tried(self._study.get_trials(deepcopy=False)[trial.number]))
        return "completed"

    def _draws(self) -> list[FrozenTrial]:
        """All draws that were brought to an end."""
        states = _states()
        return [
            trial
            for trial in self._study.get_trials(deepcopy=False)
            if trial.state in (states.COMPLETE, states.PRUNED) or _DUPLICATE in trial.user_attrs
        ]

    def _new_draws(self) -> list[FrozenTrial]:
        """Each design's first draw."""
        return [trial for trial in self._draws() if _DUPLICATE not in trial.user_attrs]

    def _draw_new(self, known: set[Design], check: Check) -> tuple[Trial, Design] | None:
        """A design that was not drawn before and is not refused; None once there seems to be none left."""
        for attempt in range(STUCK + EXHAUSTED):
            self._study.sampler = self._new_sampler(len(self._draws()), blind=attempt >= STUCK)
            trial = self._study.ask()
            design = self._space.draw(trial)
            if design in known:
                trial.set_user_attr(_DUPLICATE, list(design))
                self._study.tell(trial, state=_states().FAIL)
                continue
            trial.set_user_attr(_DESIGN, list(design))
            reason = _refusal(check, design)
            if reason is None:
                return trial, design
            trial.set_user_attr(_UNTRAINED, value=True)
            self._keep_infeasible(trial, reason)
            known.add(design)
        return None

    def _new_sampler(self, draws: int, *, blind: bool) -> BaseSampler:
        import numpy as np
        from optuna import samplers

        seed = int(np.random.SeedSequence([self._seed, draws]).generate_state(1)[0])
        if blind or self._sampler == RANDOM:
            return samplers.RandomSampler(seed=seed)
        if self._sampler == NSGA2:
            return samplers.NSGAIISampler(population_size=POPULATION, seed=seed)
        return samplers.TPESampler(n_startup_trials=FIRST_RANDOM, n_ei_candidates=CANDIDATES, seed=seed)

    def _keep(self, trial: Trial, score: Score, least_accuracy: float | None) -> None:
        trial.set_user_attr(_SCORE, asdict(score))
        if least_accuracy is not None:
            trial.set_constraint("accuracy", least_accuracy - score.accuracy)
        # The logarithm: designs differ by orders of magnitude, and a factor shall count alike for cheap and costly.
        self._study.tell(trial, [score.accuracy, math.log10(score.joules)])

    def _keep_infeasible(self, trial: Trial, reason: str) -> None:
        trial.set_user_attr(_INFEASIBLE, reason)
        # Pruned, not failed: TPE counts those among the bad ones, and does not even look at failed trials.
        self._study.tell(trial, state=_states().PRUNED)

    def _give_up_running(self) -> None:
        """What a killed search was at is drawn again."""
        states = _states()
        for trial in self._study.get_trials(deepcopy=False, states=(states.RUNNING,)):
            self._study.tell(trial.number, state=states.FAIL)


def solutions(tried: Sequence[Tried], least_accuracy: float | None = None) -> list[Tried]:
    """Those that no other beats in accuracy and joules both, cheapest first; none below the least accuracy."""
    permitted = [
        (one, one.score.point)
        for one in tried
        if one.score is not None and (least_accuracy is None or one.score.accuracy >= least_accuracy)
    ]
    return [permitted[place][0] for place in front([point for _, point in permitted])]


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Keeps a second search out of ``folder`` while the context lasts; the lock dies with the process.

    Raises:
        ConfigError: Another search is at work there, or it cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / "lock").open("w")
    except OSError as error:
        raise ConfigError("out", str(folder), f"{error.strerror}: name a folder that can be written to") from error
    with lock as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                "out", str(folder), "another search is at work there: wait for it, or name a new folder"
            ) from None
        yield


def _refusal(check: Check, design: Design) -> str | None:
    try:
        check(design)
    except (TechniqueError, ConfigError) as error:
        return str(error)
    except Exception:  # whatever else goes wrong, the trial itself meets it, or does not
        log.debug("check of %s", " + ".join(design), exc_info=True)
    return None


def _states() -> Any:
    from optuna.trial import TrialState

    return TrialState


def _open(journal: Path) -> Study:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    backend = JournalFileBackend(str(journal), lock_obj=JournalFileOpenLock(str(journal)))
    return optuna.create_study(
        study_name="search", storage=JournalStorage(backend), directions=["maximize", "minimize"], load_if_exists=True
    )


def _require_same(study: Study, settings: Mapping[str, object], folder: Path) -> None:
    wanted: dict[str, Any] = json.loads(json.dumps(settings))
    stored = study.user_attrs.get(_SETTINGS)
    if stored is None:
        study.set_user_attr(_SETTINGS, wanted)
        return
    changed = [
        f"{key} was {stored.get(key)!r}, is {wanted.get(key)!r}"
        for key in sorted({*stored, *wanted})
        if stored.get(key) != wanted.get(key)
    ]
    if changed:
        raise ConfigError("out", str(folder), f"it holds another search ({'; '.join(changed)}): name a new folder")


def _tried(trial: FrozenTrial) -> Tried:
    score = trial.user_attrs.get(_SCORE)
    return Tried(
        number=trial.number,
        design=tuple(trial.user_attrs[_DESIGN]),
        score=None if score is None else Score(**score),
        infeasible=trial.user_attrs.get(_INFEASIBLE),
    )
