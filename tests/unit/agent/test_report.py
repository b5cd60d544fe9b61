"""What the agent says of itself: each condition in a sentence, figures that do not flicker, and limits as they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from ballast.agent.capping.capper import GpuState
from ballast.agent.capping.enforcement import Confirmed
from ballast.agent.device import Sample
from ballast.agent.node.holders import Holder
from ballast.agent.telling.report import IDLE_STEP_WATTS, Reporter
from ballast.api.nodestatus import GpuStatus, NodePowerStatus
from ballast.api.readings import Source
from tests.unit.agent.capping import point
from tests.unit.agent.fake_gpu import FOUND_WATTS, description

EPOCH = 1_000_000.0


class Agent:
    """The parts that a report goes by, each as the test wants it."""

    def __init__(self, *uuids: str) -> None:
        self.now = 500.0
        self.wall_offset = EPOCH
        self.gpus = SimpleNamespace(
            descriptions={uuid: description(uuid) for uuid in uuids},
            devices=dict.fromkeys(uuids),
            driver=SimpleNamespace(version="535.1"),
            problem=None,
        )
        self.enforcement = SimpleNamespace(states={}, confirmed={}, changed=frozenset())
        self.metering = SimpleNamespace(gpus={}, cpus=None)
        self.holders: Mapping[str, tuple[Holder, ...]] | None = {}
        self.reporter = Reporter("1.0", lambda: self.now + self.wall_offset, lambda: self.now)
        for uuid in uuids:
            self.read(uuid)

    def read(self, uuid: str, watts: float | None = FOUND_WATTS, **more: Any) -> None:
        """The board was read now."""
        sample = Sample(self.now, power_limit_watts=watts)
        idle = SimpleNamespace(measured=more.pop("idle", None))
        values = {"uuid": uuid, "sample": sample, "idle": idle, "source": Source.COUNTER, "problem": None} | more
        self.metering.gpus[uuid] = SimpleNamespace(**values)

    def cap(self, uuid: str, watts: float, asked_at: float | None = None) -> None:
        """A round set a limit, now."""
        self.enforcement.states = {
            **self.enforcement.states,
            uuid: GpuState(point(watts), since=self.now, found_power_limit_watts=FOUND_WATTS),
        }
        self.enforcement.confirmed = {**self.enforcement.confirmed, uuid: Confirmed(self.now, asked_at)}
        self.enforcement.changed |= {uuid}

    def restore(self, uuid: str) -> None:
        """A round gave back what was found, now."""
        self.enforcement.states = {**self.enforcement.states, uuid: GpuState()}
        self.enforcement.confirmed = {}
        self.enforcement.changed -= {uuid}

    def status(self, *, operator_fresh: bool = True, ending: bool = False) -> NodePowerStatus:
        return self.reporter.status(
            self.gpus,  # type: ignore[arg-type]
            self.enforcement,  # type: ignore[arg-type]
            self.metering,  # type: ignore[arg-type]
            self.holders,
            {},
            3,
            operator_fresh=operator_fresh,
            ending=ending,
        )

    def gpu(self) -> GpuStatus:
        return self.status().gpus[0]

    def told(self, kind: str, **how: bool) -> tuple[str, str, str]:
        (condition,) = [each for each in self.status(**how).conditions if each.type == kind]
        return condition.status.value, condition.reason, condition.message


@pytest.fixture
def agent() -> Agent:
    return Agent("GPU-0")


# -- conditions


def test_ready(agent: Agent) -> None:
    assert agent.told("Ready") == ("True", "AgentReady", "1 GPUs answer; driver 535.1")


def test_not_ready_while_a_gpu_is_missing(agent: Agent) -> None:
    agent.gpus.problem = "no answer from GPU-1"
    assert agent.told("Ready") == ("False", "GpuMissing", "no answer from GPU-1")


def test_not_ready_while_holders_are_unknown(agent: Agent) -> None:
    agent.holders = None
    assert agent.told("Ready")[:2] == ("False", "HoldersUnknown")


def test_ready_without_any_gpu() -> None:
    agent = Agent()
    agent.gpus.driver.version = None
    assert agent.told("Ready")[:2] == ("True", "NoGpus")


def test_ended(agent: Agent) -> None:
    """Whoever reads it later knows that nobody acts for this node, and that nothing is capped."""
    agent.cap("GPU-0", 150)
    agent.status()
    agent.restore("GPU-0")
    last = agent.status(ending=True)
    assert (last.conditions[0].status.value, last.conditions[0].reason) == ("False", "Ended")
    assert last.capped_gpus == 0


def test_ended_with_a_gpu_that_could_not_be_restored(agent: Agent) -> None:
    agent.cap("GPU-0", 150)
    agent.status()
    problem = "what was found is not restored: no permission"
    agent.enforcement.states = {"GPU-0": GpuState(problem=problem, found_power_limit_watts=FOUND_WATTS)}
    agent.enforcement.confirmed = {}
    last = agent.status(ending=True)
    assert last.capped_gpus == 1
    assert last.gpus[0].problem == problem
    assert agent.told("Enforced", ending=True)[0] == "False"


def test_enforced_when_nothing_is_asked(agent: Agent) -> None:
    assert agent.told("Enforced")[:2] == ("True", "NothingAsked")


def test_enforced_when_all_is_confirmed(agent: Agent) -> None:
    agent.cap("GPU-0", 150)
    assert agent.told("Enforced") == ("True", "PointsConfirmed", "1 of 1 GPUs have what was asked for, read back")


def test_not_enforced_with_a_problem(agent: Agent) -> None:
    agent.enforcement.states = {"GPU-0": GpuState(problem="too high")}
    assert agent.told("Enforced") == ("False", "PointRefused", "GPU-0: too high")


def test_many_problems_are_counted() -> None:
    agent = Agent(*(f"GPU-{number}" for number in range(8)))
    agent.enforcement.states = {f"GPU-{number}": GpuState(problem="x" * 256) for number in range(8)}
    message = agent.told("Enforced")[2]
    assert message.endswith("; and 5 more")
    assert "GPU-3" not in message


def test_not_enforced_while_an_earlier_agents_points_are_still_there(agent: Agent) -> None:
    agent.enforcement.changed = frozenset({"GPU-0"})
    assert agent.told("Enforced")[:2] == ("False", "LeftChanged")
    assert agent.status().capped_gpus == 1


def test_metered(agent: Agent) -> None:
    assert agent.told("Metered")[:2] == ("True", "Counted")


def test_metered_by_adding_up_power(agent: Agent) -> None:
    agent.read("GPU-0", source=Source.INTEGRAL)
    told = agent.told("Metered")
    assert told[:2] == ("True", "PowerSummedUp")
    assert "GPU-0" in told[2]


def test_not_metered_while_figures_disagree(agent: Agent) -> None:
    agent.read("GPU-0", problem="its energy counter stands still")
    assert agent.told("Metered") == ("False", "CounterDisagrees", "GPU-0: its energy counter stands still")


def test_not_metered_where_a_model_estimates_the_cpus(agent: Agent) -> None:
    reading = SimpleNamespace(source=Source.ESTIMATED)
    agent.metering.cpus = SimpleNamespace(reading=reading, packages=lambda: ())
    assert agent.told("Metered")[:2] == ("False", "CpuEstimated")


def test_the_operators_lease(agent: Agent) -> None:
    assert agent.told("OperatorFresh")[0] == "True"
    assert agent.told("OperatorFresh", operator_fresh=False)[:2] == ("False", "LeaseStale")


# -- what must not flicker


def test_nothing_changes_while_nothing_happens(agent: Agent) -> None:
    agent.cap("GPU-0", 150, asked_at=agent.now)
    agent.now += 1
    agent.read("GPU-0", 150)
    first = agent.status()
    for _ in range(20):
        agent.now += 0.73
        agent.read("GPU-0", 150)
        assert agent.status() == first


def test_since_is_told_once_though_the_clocks_drift(agent: Agent) -> None:
    agent.cap("GPU-0", 150, asked_at=agent.now - 0.25)
    enforced = agent.gpu().enforced
    assert enforced is not None
    assert enforced.since == datetime.fromtimestamp(int(EPOCH + 500), UTC)
    assert enforced.delay_seconds == 0.25
    agent.now, agent.wall_offset = agent.now + 1000, EPOCH + 7
    assert agent.gpu().enforced == enforced


def test_a_new_confirmation_is_a_new_moment(agent: Agent) -> None:
    agent.cap("GPU-0", 150, asked_at=agent.now)
    agent.status()
    agent.now += 60
    agent.cap("GPU-0", 120)
    enforced = agent.gpu().enforced
    assert enforced is not None
    assert enforced.since == datetime.fromtimestamp(int(EPOCH + 560), UTC)
    assert enforced.delay_seconds is None


def test_idle_power_is_told_anew_only_if_it_differs_much(agent: Agent) -> None:
    told = []
    for watts in (None, 30.0, 30.0 + IDLE_STEP_WATTS - 0.1, 30.0 + IDLE_STEP_WATTS, 30.0, None):
        agent.read("GPU-0", idle=watts)
        told.append(agent.gpu().idle_watts)
    assert told == [None, 30.0, 30.0, 32.0, 30.0, 30.0]


# -- the present limit


def limits(agent: Agent) -> tuple[float | None, float | None]:
    """The node's limit, and what the GPU is said to have had."""
    whole = agent.status()
    limit = whole.gpus[0].power_limit
    return whole.limit_watts, limit.found_watts if limit is not None else None


def test_a_limit_that_was_just_set_is_told_before_the_board_is_read_again(agent: Agent) -> None:
    agent.now += 0.5
    agent.cap("GPU-0", 150)
    assert limits(agent) == (150, FOUND_WATTS)


def test_one_that_was_just_given_back_too(agent: Agent) -> None:
    """Else the cap would be told as what was found."""
    agent.cap("GPU-0", 150)
    agent.now += 1
    agent.read("GPU-0", 150)
    assert limits(agent) == (150, FOUND_WATTS)
    agent.now += 0.5
    agent.restore("GPU-0")
    assert limits(agent) == (FOUND_WATTS, FOUND_WATTS)


def test_then_what_the_board_says_counts(agent: Agent) -> None:
    agent.cap("GPU-0", 150)
    agent.status()
    agent.restore("GPU-0")
    agent.status()
    agent.now += 1
    agent.read("GPU-0", 260)
    assert limits(agent) == (260, 260)


def test_what_somebody_else_set_meanwhile_shows(agent: Agent) -> None:
    agent.cap("GPU-0", 150)
    agent.now += 1
    agent.read("GPU-0", 280)
    assert limits(agent) == (280, FOUND_WATTS)


def test_a_point_without_a_limit_changes_none(agent: Agent) -> None:
    agent.enforcement.states = {"GPU-0": GpuState(point(clock=900), since=agent.now + 1)}
    assert limits(agent)[0] == FOUND_WATTS


def test_a_limit_that_cannot_be_read_is_absent(agent: Agent) -> None:
    agent.metering.gpus = {}
    assert limits(agent) == (None, None)


def test_one_that_is_enforced_and_cannot_be_read_is_what_was_read_back(agent: Agent) -> None:
    agent.cap("GPU-0", 150)
    agent.read("GPU-0", sample=None)
    assert limits(agent) == (150, FOUND_WATTS)
