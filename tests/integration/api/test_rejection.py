"""The API server refuses what the models refuse, in words that name the field."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from ballast.api.crds import KINDS
from ballast.api.kinds import InvalidObject, Kind
from tests.integration.api.client import Objects
from tests.integration.api.court import Court
from tests.unit.api.bounds import Bound, all_bounds
from tests.unit.api.broken_rules import BROKEN_RULES, FORBIDDEN_EDITS
from tests.unit.api.builders import TRAINER, put, training_job
from tests.unit.api.kinds import COMPLETE, SMALLEST
from tests.unit.api.rules import BrokenRule, ForbiddenEdit, all_rules

_BOUNDS = all_bounds()


@pytest.mark.parametrize("bound", _BOUNDS, ids=str)
def test_every_bound_rejects(court: Court, bound: Bound) -> None:
    answer = court.bound(bound)
    assert answer.status == 422, answer
    assert any(bound.is_told_by(cause) for cause in answer.causes), answer


@pytest.mark.parametrize("broken", BROKEN_RULES, ids=str)
def test_every_broken_rule_is_refused_by_just_that_rule(court: Court, broken: BrokenRule) -> None:
    answer = court.rule(broken)
    assert answer.status == 422, answer
    (cause,) = answer.causes
    assert broken.says in cause
    assert any(rule.is_told_by(cause) for rule in all_rules(broken.kind)), answer


@pytest.mark.parametrize("edit", FORBIDDEN_EDITS, ids=str)
def test_every_forbidden_edit_is_refused_by_just_that_rule(court: Court, edit: ForbiddenEdit) -> None:
    answer = court.edit(edit)
    assert answer.status == 422, answer
    (cause,) = answer.causes
    assert edit.says in cause
    assert any(rule.is_told_by(cause) for rule in all_rules(edit.kind) if rule.is_transition), answer


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_nothing_in_the_schema_is_without_a_case_that_was_refused_because_of_it(court: Court, kind: type[Kind]) -> None:
    causes = [cause for case in BROKEN_RULES if case.kind is kind for cause in court.rule(case).causes]
    causes += [cause for edit in FORBIDDEN_EDITS if edit.kind is kind for cause in court.edit(edit).causes]
    unproven = [rule for rule in all_rules(kind) if not any(rule.is_told_by(cause) for cause in causes)]
    assert unproven == []
    bounds = [bound for bound in _BOUNDS if bound.kind is kind]
    told = [bound for bound in bounds if any(bound.is_told_by(cause) for cause in court.bound(bound).causes)]
    assert len(bounds) > 20
    assert told == bounds


@pytest.mark.parametrize("case", [*_BOUNDS, *BROKEN_RULES], ids=str)
def test_models_and_api_server_agree(court: Court, case: Bound | BrokenRule) -> None:
    manifest = case.broken() if isinstance(case, Bound) else case.manifest
    answer = court.bound(case) if isinstance(case, Bound) else court.rule(case)
    try:
        case.kind.parse(manifest)
    except InvalidObject:
        refused = True
    else:
        refused = False
    assert refused == (not answer.ok)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_unknown_fields_are_refused_where_kubectl_asks_for_it(
    objects: Mapping[type[Kind], Objects], kind: type[Kind]
) -> None:
    for manifest in (SMALLEST[kind](), COMPLETE[kind]()):
        answer = objects[kind].create(put(manifest, ("spec", "colour"), "red"), dry_run=True, strict=True)
        assert answer.status == 400, answer
        assert 'unknown field "spec.colour"' in answer.body["message"]


@pytest.mark.parametrize("count", ["1.5", "1k", "500m"])
def test_odd_gpu_counts_are_rejected(jobs: Objects, count: str) -> None:
    manifest = put(training_job(), (*TRAINER, "resources"), {"limits": {"nvidia.com/gpu": count}})
    answer = jobs.create(manifest, dry_run=True)
    assert answer.status == 422, answer
    assert "resources.limits.nvidia.com/gpu" in answer.causes[0]
