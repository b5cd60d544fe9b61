"""What is wrong with the GPUs."""

from __future__ import annotations

from dataclasses import replace

from tests.demo.gpu_checks import gpu_problems
from tests.demo.gpu_power import GpuPower
from tests.unit.demo.builders import job_of
from tests.unit.demo.power_builders import FREE, V100, free_use, gpu, limited_use, outcome_of_both, power_of


def _said(power: GpuPower) -> list[str]:
    return [str(problem) for problem in gpu_problems(power, outcome_of_both())]


def test_when_all_went_well_nothing_is_wrong() -> None:
    assert _said(power_of()) == []


def test_a_limit_that_nobody_confirmed() -> None:
    refused = limited_use(gpu=gpu("GPU-2", problem="it takes 200 to 700 W"))
    [said] = _said(power_of([free_use(), refused]))
    assert said == "limited: asked for 150 W, and none was confirmed on GPU-2: it takes 200 to 700 W"


def test_another_limit_than_was_asked_for() -> None:
    [said] = _said(power_of([free_use(), limited_use(gpu=gpu("GPU-2", enforced_watts=160.0))]))
    assert said == "limited: asked for 150 W, and 160 W were confirmed on GPU-2"


def test_a_limit_that_nobody_asked_for() -> None:
    [said] = _said(power_of([free_use(gpu=gpu("GPU-1", enforced_watts=200.0)), limited_use()]))
    assert said == "free: asked for no power limit, and GPU-1 had 200 W"


def test_a_limit_that_was_not_felt() -> None:
    over, said = _said(power_of([free_use(), limited_use(joules=180.0 * 22.0)]))
    assert over == "limited: GPU-2 drew 180 W on average under a limit of 150 W"
    assert said == "limited drew 180 W under its limit, not less than the 180 W of free without one"


def test_a_gpu_that_draws_less_anyway_need_not_feel_it() -> None:
    uses = [free_use(joules=140.0 * 20.0), limited_use(joules=141.0 * 22.0)]
    assert _said(power_of(uses)) == []


def test_on_average_no_gpu_draws_more_than_its_limit() -> None:
    uses = [free_use(joules=140.0 * 20.0), limited_use(joules=158.0 * 22.0)]
    [said] = _said(power_of(uses))
    assert said == "limited: GPU-2 drew 158 W on average under a limit of 150 W"


def test_energy_that_is_not_in_the_ledger() -> None:
    [said] = _said(power_of([free_use(joules=None), limited_use()]))
    assert said == "free: the energy of GPU-1 is not in the job's ledger"


def test_a_training_of_which_nobody_knows_the_samples() -> None:
    [said] = _said(power_of([free_use(samples=0), limited_use()]))
    assert said == "free: nobody knows on how many samples it trained with GPU-1"


def test_a_gpu_of_which_no_agent_told() -> None:
    [said] = _said(power_of([free_use()]))
    assert said == "limited: held 1 GPUs, and agents told of 0"


def test_a_gpu_that_is_still_limited() -> None:
    [said] = _said(power_of(after={"GPU-1": 250.0, "GPU-2": 150.0}))
    assert said == "GPU-2 has a power limit of 150 W, before it was 250 W"


def test_a_gpu_that_is_gone_was_not_put_back() -> None:
    [said] = _said(power_of(after={"GPU-1": 250.0}))
    assert said == "GPU-2 tells no power limit, before it was 250 W"


def test_a_limit_that_is_higher_than_before_was_not_put_back() -> None:
    [said] = _said(power_of(before={"GPU-1": 230.0, "GPU-2": 250.0}))
    assert said == "GPU-1 has a power limit of 250 W, before it was 230 W"


def test_nothing_known_counts_against_it() -> None:
    assert _said(power_of(before={}, after={})) == ["no power limits of GPUs are known"]


def test_a_job_that_failed_is_not_judged_but_its_gpu_is() -> None:
    outcome = outcome_of_both()
    failed = job_of(FREE, V100, phase="Failed")
    outcome = replace(outcome, jobs={**outcome.jobs, "free": failed})
    power = power_of([limited_use()], after={"GPU-1": 250.0, "GPU-2": 150.0})
    assert [problem.job for problem in gpu_problems(power, outcome)] == [""]
