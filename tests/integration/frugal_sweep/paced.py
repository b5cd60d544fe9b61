"""Stands for a training: steps that take as long as the simulated board's model says at what is set on it now.

    python -m tests.integration.frugal_sweep.paced STATE SECONDS

takes steps for SECONDS at the highest speed. What is modelled is the board's speed and power; this program, the time it
takes, and all that `frugal sweep` does with it are real.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tests.nvmlsim.simulator import Simulator

KEY = "training"
STEPS = 40


def main(state: Path, seconds: float) -> None:
    """Work for so long at the highest speed."""
    with Simulator.attach(state) as simulator:
        (uuid,) = simulator.uuids
        due = time.monotonic()
        for _ in range(STEPS):
            due += seconds / STEPS / simulator.speed(uuid, KEY)
            time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
