"""An experiment's jobs, rules and priors, before anything is run."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ballast.errors import UserError
from ballast.simulate.curves import ZEUS_KINDS, fitted_curves, zeus_curves
from ballast.simulate.experiments.experiment import read_plan
from ballast.simulate.fitting.leave_out import priors_without
from ballast.simulate.fitting.prior_fit import fit, zeus_configurations
from ballast.simulate.inputs.load import offered_load
from ballast.simulate.job import TraceJob
from tests.unit.simulate.published import DATA
from tests.unit.simulate.tiny_experiment import Tiny

ZEUS = DATA / "zeus"
needs_zeus = pytest.mark.skipif(not ZEUS.is_dir(), reason=f"Zeus's tables are not in {ZEUS}")


def test_all_tables_have_the_same_jobs_made_once(tmp_path: Path) -> None:
    plan = Tiny(tmp_path).plan
    made: dict[tuple[int, float], list[TraceJob]] = {}
    on, off = (plan.setups(case, [0, 2], made) for case in plan.experiment.cases if case.load == 0.9)
    assert [setup.jobs for setup in on] == [setup.jobs for setup in off]
    assert sorted(made) == [(0, 0.9), (2, 0.9)]
    assert (on[0].options.switch_off_after_seconds, off[0].options.switch_off_after_seconds) == (None, 120)
    assert [setup.seed for setup in on] == [0, 2]


def test_jobs_are_as_the_file_says(tmp_path: Path) -> None:
    plan = Tiny(tmp_path, maxSlowdownPercent=25, deadlineEvery=3, deadlineDurations=2).plan
    case = plan.experiment.cases[1]
    (setup,) = plan.setups(case, [1], {})
    assert {job.max_slowdown_percent for job in setup.jobs} == {25}
    assert [job.deadline is not None for job in setup.jobs] == [number % 3 == 0 for number in range(1, 7)]
    late = setup.jobs[2]
    assert late.deadline == pytest.approx(late.submitted_at + 2 * late.reference_seconds)
    assert {job.kind for job in setup.jobs} <= {"resnet50-256", "bert-squad-32"}
    assert offered_load(setup.jobs, setup.nodes, setup.curves) == pytest.approx(case.load)


def test_seeds_take_other_jobs(tmp_path: Path) -> None:
    plan = Tiny(tmp_path).plan
    first, second = plan.setups(plan.experiment.cases[0], [0, 1], {})
    assert not {job.reference_seconds for job in first.jobs} & {job.reference_seconds for job in second.jobs}


def test_data_that_are_not_there_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"elsewhere: has no folder philly: name a folder with philly/philly.csv.gz"):
        read_plan(Tiny(tmp_path).path, tmp_path / "elsewhere")


def test_a_kind_without_a_curve_is_told_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no curve of kind 'gpt' on GPU model 'V100'"):
        _ = Tiny(tmp_path, kinds=["gpt"]).plan


def test_without_measured_tables_curves_are_our_own(tmp_path: Path) -> None:
    plan = Tiny(tmp_path).plan
    assert plan.curves == fitted_curves()
    assert plan.priors is None


@needs_zeus
def test_with_measured_tables_the_arms_that_learn_are_told_of_the_other_kinds_alone(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    shutil.copytree(ZEUS, tiny.data / "zeus")
    plan = tiny.plan
    assert plan.curves == zeus_curves(ZEUS)
    assert plan.priors is not None
    assert set(plan.priors) == {"resnet50-256", "bert-squad-32"}
    (setup,) = plan.setups(plan.experiment.cases[0], [0], {})
    assert setup.briefing.priors == plan.priors


@needs_zeus
def test_a_prior_knows_no_row_of_its_workload() -> None:
    configurations = zeus_configurations(ZEUS)
    priors = priors_without(ZEUS, ["resnet50-256", "ncf-1024", "gpt"])
    assert set(priors) == {"resnet50-256", "ncf-1024"}
    others = [one for one in configurations if not one.name.startswith("imagenet/resnet50/")]
    assert 0 < len(others) < len(configurations)
    assert replace(priors["resnet50-256"], source="") == fit(others)
    assert priors["ncf-1024"].configurations == len(configurations)
    assert set(priors_without(ZEUS)) == set(ZEUS_KINDS)
