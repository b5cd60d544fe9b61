"""What a running job wants of its power limit: what to save, how much slower it may get, and what may be tried out.

What must hold: defaults are those that a user who said nothing is best served by; every setting says what it bounds.
All slowdown is in percent of the time at the limit that was found on the job's own GPU model: who is asked for slowdown
against a faster model takes off what the model itself costs.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ballast.api.jobenergy import Objective
from ballast.decide.model.known_limits import Known, Trust


@dataclass(frozen=True, slots=True)
class Caution:
    """How sure a choice must be.

    Attributes:
        deviations: A limit that was not measured is chosen only if its predicted slowdown plus so many of its standard
            deviations is allowed. 1.645: it holds for 19 of 20.
        likely_deviations: The same where the job has time for a visit there, should it be too slow. 0.5: it holds for 2
            of 3.
        measured_deviations: The same for one that was measured, of the measurement's own error, until nothing is left
            to learn there: then its mean decides.
        doubt_deviations: Until then it is worth measuring again, if less so many errors it is allowed.
        same_time_percent: Under MinimizeTime a limit takes the same time if it is slower by no more than this, and
            joules decide: readings of half a minute tell no less apart.
        keep_percent: The present limit stays if the best is better by no more than this: noise should not move boards.
    """

    deviations: float = 1.645
    likely_deviations: float = 0.5
    measured_deviations: float = 1.0
    doubt_deviations: float = 2.0
    same_time_percent: float = 1.0
    keep_percent: float = 0.5


@dataclass(frozen=True, slots=True)
class Exploration:
    """What may be tried out to learn, and when that ends.

    A visit lasts one reading. Visits are made while all of them together cost no more than ``time_share`` of the job's
    time beyond what it allows: a job is never slower than its maximum by more than that. With these figures jobs of ten
    minutes visit nothing that may be too slow, those of an hour all that is worth it, and longer ones lose less.

    Attributes:
        reading_seconds: How long a job stays at a limit until a reading of it is there, the change of limit included.
        time_share: See above; of the time that the job has run and is expected to run.
        least_readings: A job that will not run for so many readings on has no use for what it would learn.
        patience: So many limits in a row that are worse, below the best, and no lower one is visited. Two: one may be
            worse by noise, or a phase of the training.
        worse_percent: So far above the allowed slowdown is clearly too slow, and so much more joules are clearly more:
            readings of half a minute err by less.
        margin_percent: A gain of less is not worth measuring a limit again.
    """

    reading_seconds: float = 30.0
    time_share: float = 0.01
    least_readings: float = 10.0
    patience: int = 2
    worse_percent: float = 5.0
    margin_percent: float = 0.5


@dataclass(frozen=True, slots=True)
class Wishes:
    """What one running job wants.

    Attributes:
        objective: What is made small, within the allowed slowdown.
        max_slowdown_percent: What the user allows; negative if the GPU model alone costs more: then nothing is saved.
        deadline_slowdown_percent: What the deadline leaves, from now on; None without a deadline. Nothing slower is
            chosen, and where visits could make it bind nothing is tried out.
        ran_seconds: How long the job has run.
        left_seconds: How long it is expected to run on, at the limit that was found; None if nobody knows: then it is
            taken to be half way.
        lost_seconds: What visits have cost so far beyond the allowed slowdown, without the one under way: see
            `ballast.decide.points.exploring.lost_seconds`.
        now_watts: The limit of its GPUs now; None while it is not known.
        exploration: None if nothing may be tried out.
        caution: How sure a choice must be.
        trust: When samples of one limit are enough.
    """

    objective: Objective = Objective.MINIMIZE_ENERGY
    max_slowdown_percent: float = 10.0
    deadline_slowdown_percent: float | None = None
    ran_seconds: float = 0.0
    left_seconds: float | None = None
    lost_seconds: float = 0.0
    now_watts: float | None = None
    exploration: Exploration | None = Exploration()
    caution: Caution = Caution()
    trust: Trust = field(default_factory=Trust)

    @property
    def most_percent(self) -> float:
        """The slowdown that is allowed, all considered."""
        most = self.max_slowdown_percent
        if self.deadline_slowdown_percent is not None:
            most = min(most, self.deadline_slowdown_percent)
        return min(most, self.caution.same_time_percent) if self.objective is Objective.MINIMIZE_TIME else most

    @property
    def expected_left_seconds(self) -> float:
        """How long the job runs on; who is half way runs on for as long as it has run."""
        return self.left_seconds if self.left_seconds is not None else self.ran_seconds

    @property
    def spare_seconds(self) -> float:
        """What visits may still cost beyond what the job allows; nothing for who wants no time lost."""
        if self.exploration is None or self.objective is Objective.MINIMIZE_TIME:
            return 0.0
        length = self.ran_seconds + self.expected_left_seconds
        return max(self.exploration.time_share * length - self.lost_seconds, 0.0)

    @property
    def may_explore(self) -> bool:
        """Whether limits may be tried out: never by who is too slow already, or could miss its deadline by it."""
        return self.exploration is not None and self.most_percent >= 0 and self._in_time

    @property
    def _in_time(self) -> bool:
        """Whether the deadline is met even if visits cost all they may, and the rest is as slow as is allowed."""
        if self.deadline_slowdown_percent is None:
            return True
        if self.left_seconds is None:
            return False
        slack = self.left_seconds * (self.deadline_slowdown_percent - self.max_slowdown_percent) / 100
        return slack >= self.spare_seconds

    @property
    def weight_of_time(self) -> float:
        """The power of the slowdown in what is made small, beside joules: 1 for their product."""
        return 1.0 if self.objective is Objective.BALANCED else 0.0

    def score(self, known: Known) -> float:
        """Return the logarithm of what is made small, over that at the found limit."""
        return known.prediction.log_joules + self.weight_of_time * known.prediction.log_slowdown

    def bound_percent(self, known: Known) -> float:
        """Return the slowdown that the limit does not exceed, as surely as `Caution` asks."""
        if known.settled:
            return known.prediction.slowdown_percent
        caution = self.caution
        return known.prediction.slowdown_bound_percent(
            caution.measured_deviations if known.measured else caution.deviations
        )

    def likely_allows(self, known: Known) -> bool:
        """Whether a limit that was not measured is likely to be allowed."""
        if known.measured:
            return False
        bound = known.prediction.slowdown_bound_percent(self.caution.likely_deviations)
        return bound <= self.most_percent + 1e-9

    def may_allow(self, known: Known) -> bool:
        """Whether a measured limit may turn out to be allowed, once it is measured better."""
        doubt = 0.0 if known.settled else self.caution.doubt_deviations
        return known.prediction.slowdown_bound_percent(-doubt) <= self.most_percent

    def allows(self, known: Known) -> bool:
        """Whether the limit may be chosen."""
        return self.bound_percent(known) <= self.most_percent + 1e-9
