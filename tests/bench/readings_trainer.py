"""A trainer that only reports, once a second until it is told to end: `python -m tests.bench.readings_trainer`."""

from __future__ import annotations

import time
from typing import Final

from ballast import progress

METRIC: Final = "val_loss"
TRAINING_METRIC: Final = "train_loss"
SAMPLES_PER_STEP: Final = 256


def main() -> None:
    """Report."""
    step = 0
    while True:
        step += 1
        losses = {METRIC: 1 / step, TRAINING_METRIC: 0.9 / step}
        progress.report(
            step=step, total_steps=100_000, epoch=step / 1000, samples=step * SAMPLES_PER_STEP, metrics=losses
        )
        time.sleep(1)


if __name__ == "__main__":
    main()
