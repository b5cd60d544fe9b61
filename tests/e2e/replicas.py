"""Two operators side by side: which leads, which stands by, and what each of them wrote."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.audit import Request
from tests.e2e.evidence import History, steps
from tests.e2e.operator_process import OperatorProcess
from tests.e2e.operators import Operators

LEASE_SECONDS = 15
SETTINGS = {"BALLAST_LEASE_SECONDS": str(LEASE_SECONDS)}


@contextmanager
def leader_and_standby(
    operators: Operators, leader_module: str = "ballast"
) -> Iterator[tuple[OperatorProcess, OperatorProcess]]:
    """Run two operators; yield the one that leads and the one that stands by, both ready."""
    with operators.start(settings=SETTINGS, module=leader_module) as leader:
        leader.wait_until_it_leads().wait_until_ready()
        with operators.start(settings=SETTINGS, beside=True) as standby:
            standby.wait_until_ready()
            assert leader.leads
            assert not standby.leads
            yield leader, standby


def by_process(requests: list[Request], operator: OperatorProcess) -> list[Request]:
    """Return the requests of one of the processes."""
    return [request for request in requests if request.agent_version == operator.identity()]


def assert_no_step_twice(jobs: History) -> None:
    """Check that no job went through a phase twice; why one waits may be told anew."""
    for name, phases in steps(jobs).items():
        after_waiting = [phase for phase in phases if phase != "Queued"]
        assert len(after_waiting) == len(set(after_waiting)), f"{name} repeated a step: {phases}"
