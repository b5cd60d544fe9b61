"""An experiment of a few jobs that takes seconds: its file, and a trace made for it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from ballast.simulate.comparison.arms import Compared
from ballast.simulate.experiments.experiment import Case, Plan, kept_in, read_plan
from ballast.simulate.experiments.kept import Kept

DOCUMENT: dict[str, Any] = {
    "name": "tiny",
    "jobs": "philly-november",
    "kinds": ["resnet50-256", "bert-squad-32"],
    "loads": [0.5, 0.9],
    "seeds": [0, 1, 2],
    "maxSlowdownPercent": 10,
    "deadlineEvery": 2,
    "deadlineDurations": 3,
    "cluster": [{"name": "v100", "count": 4, "gpuModel": "V100", "gpus": 8, "basePower": "350W"}],
    "tables": [{"name": "nodes stay on"}, {"name": "switched off", "switchOffAfter": "120s"}],
    "baseline": "fifo-spread",
    "policies": ["fifo-spread", "per-job-limit"],
}


class Tiny:
    """An experiment in a folder.

    Args:
        folder: For the file, its data and its results.
        changes: Fields of the file; None leaves one out.
    """

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.path = folder / "tiny.yaml"
        self.data = folder / "data"
        self.out = folder / "tiny"
        document = {name: value for name, value in {**DOCUMENT, **changes}.items() if value is not None}
        self.path.write_text(yaml.safe_dump(document, sort_keys=False))
        (self.data / "philly").mkdir(parents=True, exist_ok=True)
        lines = [
            f"2017-11-{1 + n // 24:02} {n % 24:02}:00:00,{900 + 60 * n},{(1, 1, 8, 12)[n % 4]},vc" for n in range(60)
        ]
        text = "\n".join(["timestamp,duration,num_gpus,cluster", *lines]) + "\n"
        (self.data / "philly" / "philly.csv").write_text(text)

    @cached_property
    def plan(self) -> Plan:
        return read_plan(self.path, self.data)

    @cached_property
    def kept(self) -> Kept:
        return kept_in(self.out, self.path, self.data)

    def keep(self, case: Case, found: Compared) -> None:
        """Keep a seed without running it."""
        for one in found.arms:
            self.kept.add_jobs(case.slug, one.summary.policy, found.seed, one.jobs)
        self.kept.add(case.slug, found)
