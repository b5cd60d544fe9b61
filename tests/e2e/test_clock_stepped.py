"""The wall clock is set while the operator runs: no deadline comes early or late, and the operator tells of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, condition
from tests.e2e.operator_process import OperatorProcess
from tests.e2e.operators import Operators
from tests.e2e.stepped_clock import OFFSET_FILE

HOUR = 3_600
WARNING = "the wall clock was set"


@contextmanager
def _operator(operators: Operators, folder: Path) -> Iterator[tuple[OperatorProcess, Callable[[int], None]]]:
    """Run an operator; yield it, and what sets its wall clock so many seconds off and waits until it knows."""
    offset = folder / "offset"
    offset.write_text("0")

    def step(seconds: int) -> None:
        offset.write_text(str(seconds))
        operator.wait_until_it_logs(WARNING)

    with operators.start(module="tests.e2e.stepped_clock", settings={OFFSET_FILE: str(offset)}) as operator:
        operator.wait_until_ready()
        yield operator, step


def _offset(operator: OperatorProcess) -> float:
    """Return how far off the operator believes its wall clock to be."""
    name = "ballast_clock_offset_seconds "
    lines = operator.ask("/metrics")[1].splitlines()
    return next(float(line.removeprefix(name)) for line in lines if line.startswith(name))


@pytest.mark.slow
def test_a_step_ahead_ends_nothing_early(namespace: Namespace, operators: Operators, tmp_path: Path) -> None:
    with _operator(operators, tmp_path) as (operator, step):
        namespace.submit(
            training_job("a-runs").gpus(1).runs(seconds=20).spec(activeDeadlineSeconds=HOUR // 2),
            training_job("b-kept").gpus(1).spec(ttlSecondsAfterFinished=HOUR // 2),
            training_job("c-huge").pods(64).gpus(8),
        )
        namespace.wait_for_phase("b-kept", "Succeeded")
        namespace.wait_for_phase("a-runs", "Running")
        step(HOUR)
        assert _offset(operator) == pytest.approx(HOUR, abs=10)
        namespace.submit(training_job("d-after").gpus(1))
        namespace.wait_for_phase("d-after", "Succeeded")
        namespace.wait_for_phase("a-runs", "Succeeded")
        assert namespace.job("b-kept")["status"]["phase"] == "Succeeded"
        assert operator.leads, "its lease ended by the wall clock"
        assert operator.log_text().count(WARNING) == 1
        assert operator.stop() == 0, operator.log_tail()


@pytest.mark.slow
def test_a_step_back_keeps_nothing_alive(namespace: Namespace, operators: Operators, tmp_path: Path) -> None:
    with _operator(operators, tmp_path) as (operator, step):
        namespace.submit(
            training_job("a-endless").gpus(1).runs(seconds=HOUR).spec(activeDeadlineSeconds=20, retryLimit=0),
            training_job("b-expires").gpus(1).spec(ttlSecondsAfterFinished=20),
        )
        namespace.wait_for_phase("a-endless", "Running")
        namespace.wait_for_phase("b-expires", "Succeeded")
        step(-HOUR)
        assert _offset(operator) == pytest.approx(-HOUR, abs=10)
        failed = condition(namespace.wait_for_phase("a-endless", "Failed"), "Failed")
        assert failed is not None
        assert failed["reason"] == "DeadlineExceeded"
        namespace.wait(namespace.jobs_path, "b-expires", lambda jobs: not jobs, "b-expires is gone")
        namespace.submit(training_job("c-after").gpus(1))
        namespace.wait_for_phase("c-after", "Succeeded")
        assert operator.leads
