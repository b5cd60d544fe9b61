"""Small clusters, jobs, round curves and policies, so that a run can be followed with pencil and paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ballast.simulate.curves import Curve, CurvePoint, Curves
from ballast.simulate.engine.engine import Run, run
from ballast.simulate.engine.options import Options
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SimNode, Start, Step, View
from ballast.simulate.series import Series

FAST, SLOW = "Fast", "Slow"
CURVES = Curves(
    "made up for tests",
    False,
    FAST,
    (
        # At 100 W: half the speed for 90 W; at 200 W: all of it for 180 W.
        Curve("train", FAST, (CurvePoint(100, 0.5, 90), CurvePoint(200, 1.0, 180))),
        Curve("train", SLOW, (CurvePoint(100, 0.25, 80), CurvePoint(200, 0.5, 130))),
        # Draws less than an idle GPU of these nodes, which is impossible.
        Curve("doze", FAST, (CurvePoint(100, 1.0, 5), CurvePoint(200, 1.0, 5))),
        Curve("doze", SLOW, (CurvePoint(100, 1.0, 5), CurvePoint(200, 1.0, 5))),
    ),
)


def node(name: str = "a", gpus: int = 2, gpu_model: str = FAST) -> SimNode:
    """20 W idle a GPU, 100 W base."""
    return SimNode(name, gpu_model, gpus, min_limit_watts=100, max_limit_watts=200, idle_watts=20, base_watts=100)


def job(name: str = "j", seconds: float = 100, gpus: int = 1, at: float = 0, kind: str = "train") -> TraceJob:
    return TraceJob(name, kind, at, gpus, seconds)


def fits(view: View, wanted: TraceJob) -> dict[str, int] | None:
    """The first node that has room, or whole nodes of one GPU model."""
    for name, free in view.free.items():
        if free >= wanted.gpus:
            return {name: wanted.gpus}
    for model in sorted({node.gpu_model for node in view.nodes.values()}):
        taken: dict[str, int] = {}
        for name, each in view.nodes.items():
            missing = wanted.gpus - sum(taken.values())
            if each.gpu_model == model and view.free[name] == each.gpus and missing:
                taken[name] = min(each.gpus, missing)
        if sum(taken.values()) == wanted.gpus and len(taken) > 1:
            return taken
    return None


class FirstFit:
    """Starts the first waiting job that fits, as long as there is one."""

    name = "first-fit"
    reference = "the tests"
    keeps_slowdown = False

    def __init__(self, limit_watts: float = 200) -> None:
        self.limit_watts = limit_watts
        self.asked: list[float] = []

    def decide(self, view: View) -> Sequence[Step]:
        self.asked.append(view.now)
        steps: list[Step] = []
        free = dict(view.free)
        for waiting in view.waiting:
            now = View(view.now, (), {}, view.nodes, free)
            if (taken := fits(now, waiting)) is not None:
                steps.append(Start(waiting.name, taken, self.limit_watts))
                for name, count in taken.items():
                    free[name] -= count
        return steps


class Told(FirstFit):
    """First fit, and whatever else a test wants when it is asked."""

    name = "told"

    def __init__(self, also: Callable[[View], Sequence[Step]], limit_watts: float = 200) -> None:
        super().__init__(limit_watts)
        self._also = also

    def decide(self, view: View) -> Sequence[Step]:
        return [*super().decide(view), *self._also(view)]


class Only:
    """Does what a test says and nothing else."""

    name = "only"
    reference = "the tests"
    keeps_slowdown = False

    def __init__(self, decide: Callable[[View], Sequence[Step]]) -> None:
        self._decide = decide

    def decide(self, view: View) -> Sequence[Step]:
        return self._decide(view)


def ran(
    *jobs: TraceJob,
    on: Sequence[SimNode] = (node(),),
    policy: FirstFit | Only | None = None,
    seed: int = 1,
    options: Options | None = None,
    carbon: Series | None = None,
    price: Series | None = None,
) -> Run:
    done = run(jobs, on, CURVES, policy or FirstFit(), seed=seed, options=options, carbon=carbon, price=price)
    done.check()
    return done
