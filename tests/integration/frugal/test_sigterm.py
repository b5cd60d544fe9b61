"""SIGTERM to the process that Kubernetes sends it to: a checkpoint, and never a zero exit status."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

from tests.unit.frugal.builders import newest

from .processes import TORCHRUN, descendants, environment, free_port, gang_member, started, wait_for

TRAIN = (
    *("-m", "frugal", "train", "--data=digits", "--epochs=2000", "--threads=1", "--device=cpu", "--report-every=20"),
    "--termination-log=/nowhere",
)


def test_alone_even_while_torch_is_still_being_imported(tmp_path: Path, bytecode: Path) -> None:
    env = environment(bytecode, {"BALLAST_CHECKPOINT_DIR": str(tmp_path)})
    with started((sys.executable, *TRAIN), env) as process:
        wait_for(process.stderr, "event=starting")
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate()
        assert process.returncode == 128 + signal.SIGTERM, errors
    assert json.loads(output)["outcome"] == "interrupted"
    assert newest(tmp_path)["position"]["step"] == 1


def test_one_pod_of_a_gang_stops_the_whole_gang_and_none_succeeds(tmp_path: Path, bytecode: Path) -> None:
    port = free_port()
    # The second pod has no volume: checkpoints are the first one's business.
    first = {"BALLAST_CHECKPOINT_DIR": str(tmp_path), **gang_member(nodes=2, node=0, processes=1, port=port)}
    second = gang_member(nodes=2, node=1, processes=1, port=port)
    command = (*TORCHRUN, *TRAIN)
    with (
        started(command, environment(bytecode, first)) as main,
        started(command, environment(bytecode, second)) as other,
    ):
        wait_for(main.stderr, "event=progress")
        workers = [*descendants(main.pid), *descendants(other.pid)]
        other.send_signal(signal.SIGTERM)
        output, errors = main.communicate()
        other_output, other_errors = other.communicate()
        assert main.returncode == 1, errors
        assert other.returncode == 1, other_errors
    result = json.loads(output)
    assert (result["outcome"], result["processes"], result["signal"]) == ("interrupted", 2, signal.SIGTERM)
    assert other_output == ""
    checkpoint = newest(tmp_path)
    assert checkpoint["position"]["step"] == result["steps"] > 0
    assert len(checkpoint["streams"]) == 2
    assert len(workers) == 2
    assert not any(Path(f"/proc/{pid}").exists() for pid in workers)
