"""The status tells what was found and done; a figure that was not measured is absent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from ballast.agent.capping.capper import GpuState
from ballast.agent.node.pods import PodOnNode
from ballast.agent.telling.inventory import PROBLEM_LENGTH, Confirmation, GpuFacts, Health, status
from ballast.api.conditions import Condition
from ballast.api.nodestatus import MAX_HOLDERS, Capability, CpuPackage, NodePowerStatus
from tests.unit.agent.capping import point
from tests.unit.agent.fake_gpu import DEFAULT_WATTS, FOUND_WATTS, HIGHEST_WATTS, LOWEST_WATTS, description

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
GOOD = (True, "Good", "all is well")
BAD = (False, "Bad", "3 of 4")
HEALTH = Health(GOOD, GOOD, GOOD, GOOD)


def made(
    *facts: GpuFacts,
    pods: dict[str, PodOnNode] | None = None,
    health: Health = HEALTH,
    generation: int | None = 1,
    before: Sequence[Condition] = (),
    now: datetime = NOW,
    cpus: Sequence[CpuPackage] = (),
) -> NodePowerStatus:
    return status(
        facts, cpus, pods or {}, health, version="1", driver="535", generation=generation, before=before, now=now
    )


def gpu(uuid: str = "GPU-0", *, changes: dict[str, Any] | None = None, **facts: Any) -> GpuFacts:
    return GpuFacts(description(uuid, **(changes or {})), **facts)


def capped(uuid: str = "GPU-0", *, delay: float | None = 0.1234567, problem: str | None = None) -> GpuFacts:
    state = GpuState(point(150), since=5.0, reapplied=2, found_power_limit_watts=FOUND_WATTS, problem=problem)
    return gpu(uuid, state=state, confirmation=Confirmation(NOW, delay), present_watts=150.0, is_changed=True)


def test_a_gpu_is_told_as_it_was_described() -> None:
    (told,) = made(gpu(present_watts=FOUND_WATTS)).gpus
    assert (told.uuid, told.model) == ("GPU-0", "NVIDIA-Fake")
    assert set(told.capabilities) == set(Capability)
    assert told.power_limit is not None
    assert told.power_limit.model_dump() == {
        "min_watts": LOWEST_WATTS,
        "max_watts": HIGHEST_WATTS,
        "default_watts": DEFAULT_WATTS,
        "found_watts": FOUND_WATTS,
    }
    assert told.enforced is None
    assert told.problem is None


def test_what_was_not_measured_is_absent() -> None:
    whole = made(gpu())
    assert whole.limit_watts is None
    assert whole.gpus[0].idle_watts is None
    assert whole.gpus[0].power_limit is None
    assert not {"idleWatts", "powerLimit", "enforced", "problem"} & whole.to_manifest()["gpus"][0].keys()


def test_what_the_board_does_not_tell_is_absent() -> None:
    unknown = {"power_limit_watts": None, "clock_hertz": None, "memory_clocks_hertz": (), "memory_bytes": None}
    (told,) = made(gpu(changes=unknown, present_watts=None)).gpus
    assert (told.power_limit, told.clock, told.memory_clock, told.memory_bytes) == (None, None, None, None)


def test_a_limit_of_nothing_is_none() -> None:
    """A driver that answers 0 W must not end the agent."""
    whole = made(gpu(present_watts=0.0))
    assert whole.gpus[0].power_limit is None
    assert whole.limit_watts is None


def test_found_is_what_was_there_before_the_agent_changed_it() -> None:
    (told,) = made(capped()).gpus
    assert told.power_limit is not None
    assert told.power_limit.found_watts == FOUND_WATTS


def test_what_is_enforced_is_told_with_since_delay_and_how_often_it_was_set_again() -> None:
    (told,) = made(capped()).gpus
    assert told.enforced is not None
    assert told.enforced.operating_point == point(150)
    assert (told.enforced.since, told.enforced.delay_seconds, told.enforced.reapplied) == (NOW, 0.123, 2)


def test_a_delay_that_is_not_known_is_absent() -> None:
    (told,) = made(capped(delay=None)).gpus
    assert told.enforced is not None
    assert told.enforced.delay_seconds is None


def test_the_nodes_limit_is_the_sum_of_what_gpus_have_now() -> None:
    assert made(capped("a"), gpu("b", present_watts=230.04)).limit_watts == 380.0


def test_it_is_absent_while_one_of_them_is_not_known() -> None:
    """Else a GPU that cannot be read for a moment would make the node look as if it drew less."""
    assert made(capped("a"), gpu("b", present_watts=None)).limit_watts is None


def test_a_gpu_that_has_no_limit_is_left_out_of_it() -> None:
    assert made(capped("a"), gpu("b", changes={"power_limit_watts": None})).limit_watts == 150.0


def test_capped_are_those_that_are_not_as_they_were_found() -> None:
    assert made(capped("a"), gpu("b")).capped_gpus == 1


def test_one_that_could_not_be_restored_counts() -> None:
    """Whoever uninstalls waits for it."""
    state = GpuState(problem="what was found is not restored", found_power_limit_watts=FOUND_WATTS)
    assert made(gpu(state=state, is_changed=True)).capped_gpus == 1


def test_gpus_are_in_order_whatever_the_drivers() -> None:
    assert [each.uuid for each in made(gpu("b"), gpu("a"), gpu("c")).gpus] == ["a", "b", "c"]


@pytest.mark.parametrize(("models", "told"), [([], None), (["X", "X"], "X"), (["X", "Y"], None)])
def test_the_nodes_model_is_that_of_all_gpus(models: list[str], told: str | None) -> None:
    whole = made(*(gpu(f"GPU-{number}", changes={"model": model}) for number, model in enumerate(models)))
    assert whole.gpu_model == told
    assert whole.gpu_count == len(models)


def test_a_long_model_is_cut_to_what_a_label_takes() -> None:
    assert len(made(gpu(changes={"model": "X" * 100})).gpus[0].model) == 63


def test_a_problem_is_cut_to_what_the_status_takes() -> None:
    (told,) = made(capped(problem="x" * 1000)).gpus
    assert told.problem is not None
    assert len(told.problem) == PROBLEM_LENGTH
    assert told.problem.endswith("…")


def test_one_that_just_fits_is_whole() -> None:
    assert made(capped(problem="x" * PROBLEM_LENGTH)).gpus[0].problem == "x" * PROBLEM_LENGTH


def test_holders_have_the_names_that_are_known() -> None:
    pods = {"1": PodOnNode("1", "team", "train-0", ended=False)}
    (told,) = made(gpu(holders=[("1", None), ("2", "MIG-1")]), pods=pods).gpus
    first, second = told.holders
    assert (first.uid, first.namespace, first.name, first.mig_device) == ("1", "team", "train-0", None)
    assert (second.uid, second.namespace, second.name, second.mig_device) == ("2", None, None, "MIG-1")


def test_there_are_not_more_than_the_status_takes() -> None:
    holders = [(str(number), None) for number in range(MAX_HOLDERS + 5)]
    assert len(made(gpu(holders=holders)).gpus[0].holders) == MAX_HOLDERS


def test_idle_power_is_in_whole_watts() -> None:
    assert made(gpu(idle_watts=27.49)).gpus[0].idle_watts == 27.0


def test_a_node_without_gpus_has_its_cpus() -> None:
    whole = made(cpus=[CpuPackage(index=0, metered=False)])
    assert (whole.gpu_count, whole.capped_gpus, whole.limit_watts) == (0, 0, None)
    assert [cpu.index for cpu in whole.cpu_packages] == [0]


def test_a_condition_keeps_its_time_while_it_stays_as_it_is() -> None:
    before = made(now=NOW).conditions
    after = made(now=LATER, before=before).conditions
    assert after == before


def test_and_gets_a_new_one_when_it_changes_alone() -> None:
    before = made(now=NOW).conditions
    after = made(now=LATER, before=before, health=Health(BAD, GOOD, GOOD, GOOD)).conditions
    times = {each.type: each.last_transition_time for each in after}
    assert times == {"Ready": LATER, "Enforced": NOW, "Metered": NOW, "OperatorFresh": NOW}
    assert after[0].reason == "Bad"


def test_another_reason_for_the_same_is_no_transition() -> None:
    before = made(now=NOW).conditions
    other = (True, "Other", "well in another way")
    after = made(now=LATER, before=before, health=Health(other, GOOD, GOOD, GOOD)).conditions
    assert (after[0].reason, after[0].last_transition_time) == ("Other", NOW)


def test_conditions_say_which_spec_they_are_about() -> None:
    whole = made(generation=7)
    assert whole.observed_generation == 7
    assert {each.observed_generation for each in whole.conditions} == {7}


def test_the_same_facts_make_the_same_status() -> None:
    first = made(capped())
    assert made(capped(), before=first.conditions, now=LATER) == first
