"""What `test_gang` has two processes do: several trainings in a row, since starting torch is what takes long.

Run by torchrun as ``-m tests.integration.frugal.gang DIRECTORY``; each process leaves its results in ``rank-N.json``.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import torch.distributed as dist

from frugal.results import TrainingResult
from frugal.signals import StopSignals
from frugal.technique import Technique
from frugal.techniques.compile import Compile
from tests.unit.frugal.builders import blobs, config, train
from tests.unit.frugal.toys import Accumulation, NoDropout, Shrink, Smoothing, StopAt, interrupt_at, never

EXAMPLES = 97
"""Six batches of 16 and one of a single example, for which the second process has none."""

INTERRUPTED_AFTER = 9


def remembering() -> list[Technique]:
    """Techniques that change the loss, the steps and halfway the model."""
    return [Smoothing(), Accumulation(parts=3), Shrink()]


def main(directory: Path) -> None:
    results: dict[str, dict[str, object]] = {}
    dist.init_process_group("gloo")

    def run(name: str, folder: str, techniques: Sequence[Technique], signals: StopSignals | None = None) -> None:
        done = train(config(directory / folder), techniques, data=blobs(train=EXAMPLES), signals=signals)
        results[name] = _kept(done)

    run("whole", "whole", [*remembering(), never()])
    signals = StopSignals()
    run("broken", "broken", [*remembering(), interrupt_at(INTERRUPTED_AFTER, signals, rank=1)], signals)
    run("resumed", "broken", [*remembering(), never()])
    run("plain", "plain", [NoDropout()])
    early = StopAt(step=5, rank=1)
    early.act = lambda run: run.request_stop("the second process has seen enough")
    run("early", "early", [early])
    # Traced whole, as for inductor, but without the minute that its C++ takes.
    run("compiled", "compiled", [Compile(backend="aot_eager"), NoDropout()])

    dist.destroy_process_group()
    (directory / f"rank-{os.environ['RANK']}.json").write_text(json.dumps(results))


def _kept(result: TrainingResult) -> dict[str, object]:
    names = ("outcome", "steps", "samples", "resumed_from_step", "exit_status", "val_loss", "val_accuracy", "loss")
    return {name: getattr(result, name) for name in (*names, "stop_reason")}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
