"""An unchanged transformers script tells steps, epochs, losses and evaluations, by its own Kubeflow callback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from ballast.api.exporter import KUBEFLOW_PATH, KUBEFLOW_TOKEN_VARIABLE, KUBEFLOW_URL_VARIABLE
from ballast.exporter.progress import Progress
from ballast.exporter.progress_server import ProgressServer
from ballast.exporter.report import Report

from . import shape

SCRIPT = "tests.integration.transformers_progress.training"
ENOUGH_SECONDS = 500


class Listener(Progress):
    """Counts the updates that hold an evaluation, new or not."""

    def __init__(self) -> None:
        super().__init__("eval_loss", "loss", "Minimize")
        self.updates = 0
        self.left_out: set[str] = set()

    def report(self, *reports: Report, key: str | None = None, source: str = "") -> Mapping[str, str]:
        self.updates += sum("eval_loss" in report.metrics for report in reports)
        ignored = super().report(*reports, key=key, source=source)
        self.left_out.update(ignored)
        return ignored


@pytest.mark.slow
def test_everything_arrives_and_each_evaluation_once(tmp_path: Path) -> None:
    progress, log = Listener(), tmp_path / "log.json"
    with ProgressServer(progress, port=0) as server:
        _train(f"http://127.0.0.1:{server.port}{KUBEFLOW_PATH}", tmp_path, log)
    told, metrics = progress.training(), progress.metrics()

    logged = json.loads(log.read_text())
    evaluations = [entry["eval_loss"] for entry in logged if "eval_loss" in entry]
    losses = [entry["loss"] for entry in logged if "loss" in entry]
    assert told is not None
    # The update at the end tells no step: that of the one before is 5 seconds old.
    assert told.step is not None
    assert shape.EVALUATE_EVERY < told.step < shape.STEPS
    assert told.total_steps == shape.STEPS
    assert told.epoch == shape.STEPS * shape.BATCH / shape.EXAMPLES_PER_EPOCH
    assert (told.percent, told.seconds_left) == (100, 0)
    assert metrics["loss"] == losses[-1]
    assert progress.left_out == set()
    assert len(evaluations) == 2
    assert [each.value for each in told.ring] == evaluations
    assert told.evaluations == 2
    assert progress.updates > 2
    assert told.best == min(evaluations)


def _train(url: str, folder: Path, log: Path) -> None:
    """Run the script with what a pod's environment says, and nothing else that concerns reporting."""
    token = folder / "token"
    token.write_text("4f8c2f6e-9d0e-4a2b-8f53-6f1f0b0c9a11")
    proxies = {name for name in os.environ if name.lower().endswith("_proxy")}
    environment = {name: value for name, value in os.environ.items() if name not in proxies}
    environment |= {KUBEFLOW_URL_VARIABLE: url, KUBEFLOW_TOKEN_VARIABLE: str(token), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", SCRIPT, str(folder / "output"), str(log)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=ENOUGH_SECONDS, check=False)
    assert done.returncode == 0, done.stderr
