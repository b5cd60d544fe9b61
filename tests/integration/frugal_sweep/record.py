"""Makes the recorded sweeps of simulated boards: `python -m tests.integration.frugal_sweep.record FOLDER`, as root.

SIMULATED. What is modelled: the boards, by `tests.nvmlsim`, which replay the speed and power that the Zeus trace has of
one workload at each power limit, and its time. What is real: NVML's calls, permission, settings, counters, the sweep.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from frugal.sweep.points import parse
from frugal.sweep.report import report
from tests.nvmlsim import curves
from tests.nvmlsim.boards import A40, V100
from tests.unit.frugal.sweep.builders import bench

ROUNDS = 3
BOARDS = {"v100": (V100, "power:7"), "a40": (A40, "power:9")}  # 25 W apart, as the trace


def main(folder: Path) -> None:
    """Sweep each board and write what was found."""
    if not curves.data_folder().is_dir():
        raise SystemExit(f"{curves.data_folder()} is not there: without the trace the boards run on a fit")
    folder.mkdir(parents=True, exist_ok=True)
    for name, (board, text) in BOARDS.items():
        with tempfile.TemporaryDirectory() as state, bench(Path(state), board) as one:
            points = parse(text, one.settings.board)
            work = f"simulated training, by the board's own model of {curves.DEFAULT_WORKLOAD} (Zeus trace)"
            result = dataclasses.replace(
                one.result(points, one.sweep(one.work(), points, ROUNDS), work),
                measured_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            )
        (folder / f"{name}-simulated.json").write_text(result.to_json())
        sys.stdout.write(report(result, 10.0) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
