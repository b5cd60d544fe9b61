"""What a checkpoint holds, and how a run becomes what it was: bit for bit on the CPU.

Between two steps the state of a run is: weights, optimizer, schedule, what the techniques learned, the position in the
epoch with that epoch's order (a technique may have chosen it from state that has moved on), and the random streams of
every process.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from frugal import rng
from frugal.checkpoint import Snapshot
from frugal.errors import CheckpointError
from frugal.run import Run
from frugal.technique import Evaluation

log = logging.getLogger(__name__)

FORMAT = 1


def capture(run: Run, seconds: float) -> Snapshot | None:
    """The run as it is now; collective, and None in all but the main process."""
    streams = run.world.gather(rng.capture())
    learned = run.techniques.state_dict()
    if not run.world.is_main:
        return None
    return {
        "format": FORMAT,
        "config": dict(run.config.identity),
        "techniques": run.techniques.identity,
        "learned": learned,
        "position": {
            "epoch": run.epoch,
            "step": run.step,
            "step_in_epoch": run.step_in_epoch,
            "samples": run.samples,
            "seconds": seconds,
            "best_step": run.best_step,
            "stop_reason": run.stop_reason,
        },
        "order": run.order,
        "best": None if run.best is None else asdict(run.best),
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "scheduler": None if run.scheduler is None else run.scheduler.state_dict(),
        "streams": streams,
    }


def capture_best(run: Run) -> Snapshot:
    """The best model so far, for use rather than for resuming."""
    return {
        "format": FORMAT,
        "config": dict(run.config.identity),
        "techniques": run.techniques.identity,
        "step": run.step,
        "evaluation": None if run.best is None else asdict(run.best),
        "model": run.model.state_dict(),
    }


def restore(run: Run, snapshot: Snapshot) -> None:
    """Make ``run`` what it was when ``snapshot`` was captured.

    Raises:
        CheckpointError: The snapshot belongs to another run.
    """
    _require_same_run(run, snapshot)
    run.techniques.load_state_dict(run, snapshot["learned"])
    position = snapshot["position"]
    run.epoch, run.step, run.step_in_epoch = position["epoch"], position["step"], position["step_in_epoch"]
    run.samples, run.seconds = position["samples"], position["seconds"]
    run.best_step, run.stop_reason = position["best_step"], position["stop_reason"]
    run.order = snapshot["order"]
    run.best = None if snapshot["best"] is None else Evaluation(**snapshot["best"])
    run.model.load_state_dict(snapshot["model"])
    run.optimizer.load_state_dict(snapshot["optimizer"])
    if run.scheduler is not None and snapshot["scheduler"] is not None:
        run.scheduler.load_state_dict(snapshot["scheduler"])
    _restore_streams(run, snapshot["streams"])


def _require_same_run(run: Run, snapshot: Snapshot) -> None:
    if snapshot.get("format") != FORMAT:
        raise CheckpointError(
            f"checkpoint format {snapshot.get('format')!r} is not {FORMAT}: "
            "use a fresh --checkpoint-dir, or --no-resume"
        )
    stored, wanted = snapshot["config"], run.config.identity
    changed = [
        f"{key} was {stored.get(key)!r}, is {value!r}" for key, value in wanted.items() if stored.get(key) != value
    ]
    if changed:
        raise CheckpointError(
            f"the checkpoint belongs to another run ({'; '.join(changed)}): use the same settings, "
            "a fresh --checkpoint-dir, or --no-resume"
        )
    run.techniques.require_identity(snapshot["techniques"])


def _restore_streams(run: Run, streams: list[dict[str, Any]]) -> None:
    if len(streams) != run.world.size:
        log.warning(
            "resuming %d processes from a checkpoint of %d: the run goes on soundly, but not bit for bit as before",
            run.world.size,
            len(streams),
        )
    if run.world.rank < len(streams):
        rng.restore(streams[run.world.rank])
    else:
        rng.seed_all(run.config.seed + run.step, run.world.rank)
