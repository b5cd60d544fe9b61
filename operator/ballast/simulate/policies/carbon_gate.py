"""Jobs wait while the electricity is dirty, at most for a maximum delay.

compute-gardener's scheduler plugin lets a pod pass when the grid's carbon intensity is at or below a threshold, or when
the pod has waited for the maximum scheduling delay, and refuses it otherwise. What passes is placed by FIFO with
bin-packing (the project leaves that to kube-scheduler's other plugins). Its threshold and delay are those that the
project ships with. Running jobs are never touched, and GPUs stay at their maximum power limit.

What must hold: while the intensity is above the threshold, no job starts that has waited less than the maximum delay;
without a carbon series nothing waits.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from ballast.errors import UserError
from ballast.simulate.policies.packing import Packer, Room, start_in_order
from ballast.simulate.policy import Step, View, WakeUp

DEFAULT_GRAMS_PER_KWH = 200.0
DEFAULT_MAX_DELAY_SECONDS = 24 * 3600.0

LOOK_EVERY_SECONDS = 300.0
"""Nothing tells a policy that the intensity changed: so often it looks, as often as grid data are renewed."""


class CarbonGate:
    """FIFO with bin-packing behind a gate."""

    name = "carbon-gate"
    reference = "compute-gardener (github.com/elevated-systems/compute-gardener-scheduler), carbon-aware scheduling"
    keeps_slowdown = False

    def __init__(
        self,
        seed: int,
        threshold_grams_per_kwh: float = DEFAULT_GRAMS_PER_KWH,
        max_delay_seconds: float = DEFAULT_MAX_DELAY_SECONDS,
    ) -> None:
        """Make the arm.

        Args:
            seed: Of its chances.
            threshold_grams_per_kwh: Above it, jobs wait.
            max_delay_seconds: Counted from a job's submission.

        Raises:
            UserError: A value is negative.
        """
        if threshold_grams_per_kwh < 0 or max_delay_seconds < 0:
            raise UserError(
                f"threshold_grams_per_kwh: {threshold_grams_per_kwh}, max_delay_seconds: {max_delay_seconds}: "
                "give values of at least 0"
            )
        self._threshold = threshold_grams_per_kwh
        self._max_delay = max_delay_seconds
        self._packer = Packer(seed, spread=False)
        self._wakes_at = float("-inf")

    def decide(self, view: View) -> Sequence[Step]:
        """Start what passes the gate and fits."""
        waiting = view.waiting
        open_ = view.grams_per_kwh is None or view.grams_per_kwh <= self._threshold
        # By submission, so that those whose delay is over stand in front. The sum is the one that is woken up for.
        overdue = bisect_right(waiting, view.now, key=lambda job: job.submitted_at + self._max_delay)
        steps: list[Step] = []
        steps.extend(start_in_order(waiting if open_ else waiting[:overdue], Room.of(view), self._packer))
        if not open_ and overdue < len(waiting):
            steps.extend(self._wake_up(view.now, waiting[overdue].submitted_at + self._max_delay))
        return steps

    def _wake_up(self, now: float, delay_ends_at: float) -> list[Step]:
        at = min(now + LOOK_EVERY_SECONDS, delay_ends_at)
        if now < self._wakes_at <= at:
            return []
        self._wakes_at = at
        return [WakeUp(at)]
