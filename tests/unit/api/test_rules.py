"""Every rule has a manifest that breaks it, and the models say so in the rule's words."""

from __future__ import annotations

import pytest

from ballast.api.crds import KINDS
from ballast.api.kinds import InvalidObject, Kind
from ballast.api.trainingjob import InvalidTrainingJob, TrainingJob
from tests.unit.api.broken_rules import BROKEN_RULES, FORBIDDEN_EDITS
from tests.unit.api.builders import TRAINER, put, training_job
from tests.unit.api.kinds import SMALLEST
from tests.unit.api.rules import BrokenRule, ForbiddenEdit, SchemaRule, all_rules


def _problem(broken: BrokenRule) -> str:
    """The one thing that is wrong, as the API server would spell it."""
    with pytest.raises(broken.kind.invalid) as caught:
        broken.kind.parse(broken.manifest)
    (problem,) = caught.value.problems
    return f"{problem.field}: {problem.remedy}"


@pytest.mark.parametrize("broken", BROKEN_RULES, ids=str)
def test_broken_rule_is_the_one_problem(broken: BrokenRule) -> None:
    field, _, message = _problem(broken).partition(": ")
    assert message.startswith(broken.says)
    assert any(rule.is_told_by(f"{field}: {message}") for rule in all_rules(broken.kind))


_RULES = [(kind, rule) for kind in KINDS for rule in all_rules(kind)]


@pytest.mark.parametrize(
    ("kind", "rule"), _RULES, ids=[f"{kind.__name__}.{rule.field}:{rule.message[:40]}" for kind, rule in _RULES]
)
def test_every_rule_has_a_rejecting_case(kind: type[Kind], rule: SchemaRule) -> None:
    if rule.is_transition:
        assert any(edit.kind is kind and rule.message.startswith(edit.says) for edit in FORBIDDEN_EDITS)
        return
    candidates = [case for case in BROKEN_RULES if case.kind is kind and rule.message.startswith(case.says)]
    assert any(rule.is_told_by(_problem(case)) for case in candidates)


@pytest.mark.parametrize("edit", FORBIDDEN_EDITS, ids=str)
def test_no_edit_is_refused_for_itself(edit: ForbiddenEdit) -> None:
    """Before and after are good each by itself: only the step from one to the other is refused."""
    edit.kind.parse(edit.before)
    edit.kind.parse(edit.after)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_message_names_a_field_and_is_one_sentence(kind: type[Kind]) -> None:
    for rule in all_rules(kind):
        last = rule.field.rpartition(".")[2].removesuffix("[]")
        # A rule on a field itself reads on from the field's name, which stands in front of every message.
        assert last in rule.message or rule.field.endswith("[]") or rule.message.startswith("must be"), rule
        assert rule.message[-1] not in ".:;,", rule


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_the_smallest_manifest_breaks_no_rule(kind: type[Kind]) -> None:
    kind.parse(SMALLEST[kind]())


def test_a_name_may_be_as_long_as_is_said() -> None:
    TrainingJob.parse(training_job("a" * 48))


def test_two_trainers_are_one_too_many() -> None:
    # The API server refuses them earlier, because container names are keys.
    manifest = training_job()
    manifest["spec"]["template"]["spec"]["containers"] *= 2
    with pytest.raises(InvalidObject):
        TrainingJob.parse(manifest)


def test_processes_per_node_are_the_users_to_choose() -> None:
    env = [{"name": "PET_NPROC_PER_NODE", "value": "2"}]
    TrainingJob.parse(put(training_job(launcher="torchrun"), (*TRAINER, "env"), env))


def test_torchrun_variables_are_free_without_torchrun() -> None:
    env = [{"name": "PET_NNODES", "value": "2"}]
    TrainingJob.parse(put(training_job(launcher="none"), (*TRAINER, "env"), env))


def test_the_invalid_objects_of_a_kind_have_a_class_of_their_own() -> None:
    assert len({kind.invalid for kind in KINDS}) == len(KINDS)
    assert TrainingJob.invalid is InvalidTrainingJob
