"""Every rule has a manifest that breaks it, and the models say so in the rule's words."""

from __future__ import annotations

import pytest

from ballast.api.trainingjob import InvalidTrainingJob, TrainingJob
from tests.unit.api.bounds import all_rules
from tests.unit.api.broken_rules import BROKEN_RULES, FORBIDDEN_EDITS, BrokenRule
from tests.unit.api.builders import complete_job, put, training_job


@pytest.mark.parametrize("broken", BROKEN_RULES, ids=lambda broken: broken.why)
def test_broken_rule_is_the_one_problem(broken: BrokenRule) -> None:
    with pytest.raises(InvalidTrainingJob) as caught:
        TrainingJob.parse(broken.manifest)
    (problem,) = caught.value.problems
    assert problem.remedy.startswith(broken.says)
    # The message names the field by its last part, the problem by its path.
    assert problem.field.rpartition(".")[2].split("[")[0] in problem.remedy


def test_every_rule_has_a_rejecting_case() -> None:
    says = {case.says for case in BROKEN_RULES} | {edit.says for edit in FORBIDDEN_EDITS}
    untested = [rule["message"] for rule in all_rules() if not any(rule["message"].startswith(s) for s in says)]
    assert untested == []


@pytest.mark.parametrize("broken", BROKEN_RULES, ids=lambda broken: broken.why)
def test_no_case_of_a_rule_that_is_gone(broken: BrokenRule) -> None:
    assert any(rule["message"].startswith(broken.says) for rule in all_rules())


def test_good_manifests_break_no_rule() -> None:
    TrainingJob.parse(training_job())
    TrainingJob.parse(complete_job())
    TrainingJob.parse(training_job("a" * 48))


def test_two_trainers_are_one_too_many() -> None:
    # The API server refuses them earlier, because container names are keys.
    manifest = training_job()
    manifest["spec"]["template"]["spec"]["containers"] *= 2
    with pytest.raises(InvalidTrainingJob, match="exactly one container named trainer"):
        TrainingJob.parse(manifest)


def test_processes_per_node_are_the_users_to_choose() -> None:
    env = [{"name": "PET_NPROC_PER_NODE", "value": "2"}]
    path = ("spec", "template", "spec", "containers", "[]", "env")
    TrainingJob.parse(put(training_job(launcher="torchrun"), path, env))


def test_torchrun_variables_are_free_without_torchrun() -> None:
    env = [{"name": "PET_NNODES", "value": "2"}]
    path = ("spec", "template", "spec", "containers", "[]", "env")
    TrainingJob.parse(put(training_job(launcher="none"), path, env))
