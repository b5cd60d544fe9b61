"""The survey's Table 1: what a saving says of a claim, and what it takes to know one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from frugal import registry
from frugal.bench import survey
from frugal.bench.records import Phase, Trial
from frugal.bench.survey import Aim, Basis, Claim, Row, Variant
from frugal.bench.table1 import case_name, code_lines, entries, judge, judge_aim, judge_claim, make_plan, module_lines
from frugal.bench.tables import Kind
from frugal.composition import Composition
from frugal.config import TrainConfig
from frugal.errors import ConfigError
from tests.unit.frugal.bench.made_up import interval, trial

_UP_TO_30 = Claim(most_percent=30)
_ABOVE_60 = Claim(above_percent=60)
_ROW = Row(
    key="toy",
    technique="Toy",
    phase=Phase.INFERENCE,
    claim=_UP_TO_30,
    aim=Aim(percent=30),
    variants=(Variant(name="one", base=survey.PLAIN, techniques=("accumulation",)),),
)
_CASE = case_name(_ROW, _ROW.variants[0])
_PLAN = make_plan(TrainConfig(), range(3), device="cpu", rows=[_ROW])


@pytest.mark.parametrize(
    ("claim", "saving", "words"),
    [
        (_UP_TO_30, interval(20, 5), "holds"),
        (_UP_TO_30, interval(28, 5), "holds"),  # may well be 30
        (_UP_TO_30, interval(45, 5), "contradicts: saves 45 %, more than the 30 % claimed as the most"),
        (_UP_TO_30, interval(-12, 5), "contradicts: costs 12 % more instead of saving"),
        (_UP_TO_30, interval(3, 5), "open: the interval reaches from a loss to a saving"),
        (_UP_TO_30, interval(100 * (1 - 0.7), 0), "holds"),  # 30.000000000000004
        (_UP_TO_30, interval(0, 0), "open: neither saves nor costs anything"),  # zeros that no estimate sees
        (_UP_TO_30, interval(20), "open: saves 20 %, by one seed"),
        (_ABOVE_60, interval(70, 5), "holds"),
        (_ABOVE_60, interval(62, 5), "open: the interval reaches below 60 %"),
        (_ABOVE_60, interval(40, 5), "contradicts: saves 40 %, where more than 60 % is claimed"),
        (Claim(variable=True), interval(4, 1), "saves 4 %; not comparable: the survey gives no figure"),
        (Claim(), interval(-4, 1), "costs 4 % more; not comparable: the survey claims nothing"),
    ],
)
def test_a_verdict_follows_from_claim_and_interval(claim: Claim, saving: object, words: str) -> None:
    assert judge_claim(claim, saving) == words  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("saving", "change", "words"),
    [
        (31.0, -0.9, "≥ 30 % reached"),
        (30 - 1e-14, 0.0, "≥ 30 % reached"),  # as 1 - 0.7 may come out
        (31.0, 4.0, "≥ 30 % reached"),
        (29.0, 0.0, "≥ 30 % missed: saves 29 %"),
        (90.0, -1.1, "≥ 30 % missed: accuracy falls by 1.1 points"),
    ],
)
def test_an_aim_needs_saving_and_accuracy(saving: float, change: float, words: str) -> None:
    said, reached = judge_aim(Aim(percent=30), interval(saving, 1), interval(change, 0.5))
    assert (said, reached) == (words, words.endswith("reached"))


def _trials(*, measured: bool, saving: float = 0.4) -> list[Trial]:
    trials = []
    for seed in range(3):
        cost = 1 + 0.01 * seed
        for case, baseline, joules in (("mlp", None, cost), (_CASE, "mlp", cost * (1 - saving))):
            estimated = 5.0 if case == "mlp" else 5.0 + seed  # of another opinion than the counter
            trials.append(
                trial(case, baseline=baseline, seed=seed, joules=joules if measured else None, estimated=estimated)
            )
    return trials


def _none(_: Trial) -> None:
    return None


def test_where_a_counter_measured_it_alone_is_judged_by() -> None:
    (entry,) = entries(_trials(measured=True), plan=_PLAN, device="cpu", count=_none, rows=[_ROW])
    (line,) = entry.lines
    assert set(line.savings) == {Kind.MEASURED, Kind.TIME}
    assert [verdict.kind for verdict in line.verdicts] == [Kind.MEASURED]
    assert line.verdicts[0].claim.startswith("contradicts: saves 40 %, more than")
    assert line.verdicts[0].reached


def test_without_a_counter_both_estimates_are_judged_and_named_so() -> None:
    (entry,) = entries(
        _trials(measured=False), plan=_PLAN, device="cpu", count=lambda it: 1.0 if it.baseline else 2.0, rows=[_ROW]
    )
    (line,) = entry.lines
    assert line.savings[Kind.OPERATIONS].mean == pytest.approx(50)
    assert [(str(verdict).partition(":")[0], verdict.reached) for verdict in line.verdicts] == [
        ("estimate t", False),
        ("estimate o", True),
    ]


def test_an_aim_for_an_estimate_is_judged_by_counted_operations_even_beside_a_counter() -> None:
    row = replace(_ROW, aim=Aim(percent=40, basis=Basis.OPERATIONS))
    (entry,) = entries(_trials(measured=True, saving=0.9), plan=_PLAN, device="cpu", count=lambda it: 2.0, rows=[row])
    judged = {verdict.kind: verdict.reached for verdict in entry.lines[0].verdicts}
    assert judged == {Kind.MEASURED: None, Kind.OPERATIONS: False}


def test_a_training_is_counted_by_all_its_examples_and_an_answer_by_one() -> None:
    pairs = [(phase, Phase(phase)) for phase in Phase]
    saved = {}
    for _, phase in pairs:
        row = replace(_ROW, phase=phase)
        trials = [
            trial("mlp", phase=phase, samples=100),
            trial(_CASE, baseline="mlp", phase=phase, samples=50),
        ]
        plan = make_plan(TrainConfig(), [0], device="cpu", rows=[row])
        (entry,) = entries(trials, plan=plan, device="cpu", count=lambda it: 1.0, rows=[row])
        saved[phase] = entry.lines[0].savings[Kind.OPERATIONS].mean
    assert saved == {Phase.TRAINING: 50.0, Phase.INFERENCE: 0.0}


def test_what_chooses_a_core_set_is_counted_too() -> None:
    row = replace(_ROW, phase=Phase.TRAINING)
    half = trial(_CASE, baseline="mlp", phase=Phase.TRAINING, samples=50)
    trials = [
        trial("mlp", phase=Phase.TRAINING, samples=100),
        replace(half, figures={"coreset": {"proxy_samples": 25}}),
    ]
    plan = make_plan(TrainConfig(), [0], device="cpu", rows=[row])
    (entry,) = entries(trials, plan=plan, device="cpu", count=lambda it: 1.0, rows=[row])
    assert entry.lines[0].savings[Kind.OPERATIONS].mean == 25.0


@pytest.mark.parametrize(("points", "said"), [(-1.5, "holds, while accuracy falls by 1.5 points"), (-0.5, "holds")])
def test_a_saving_that_accuracy_pays_for_says_so(points: float, said: str) -> None:
    assert judge(_ROW, Kind.TIME, interval(20, 2), interval(points, 0.1)).claim == said


def test_a_row_without_trials_has_no_line() -> None:
    assert entries([], plan=_PLAN, device="cpu", count=_none, rows=[_ROW])[0].lines == ()


@pytest.mark.parametrize("device", survey.SETUPS)
def test_every_case_names_techniques_that_exist_and_go_together(device: str) -> None:
    plan = make_plan(TrainConfig(epochs=8), [0], device=device)
    for case in plan.cases:
        Composition([registry.create(spec) for spec in case.techniques]).check(replace(case.config, device="auto"))


def test_a_case_differs_from_its_baseline_in_its_words_alone() -> None:
    plan = make_plan(TrainConfig(epochs=8), [0], device="cpu")
    for case in plan.cases:
        if case.baseline is not None:
            assert case.config == plan.case(case.baseline).config, case.name


def test_a_student_is_taught_as_long_as_its_baseline_learns() -> None:
    plan = make_plan(TrainConfig(epochs=7), [0], device="cpu")
    assert "teacher_epochs=7" in plan.case("distillation: small student").techniques[-1]


def test_rows_that_nothing_can_be_run_for_are_refused_by_name() -> None:
    dvfs = [row for row in survey.ROWS if row.key == "dvfs"]
    with pytest.raises(ConfigError, match=r"dvfs.*name other rows"):
        make_plan(TrainConfig(), [0], device="cpu", rows=dvfs)


def test_code_lines_leave_out_blank_lines_comments_and_docstrings() -> None:
    docs = '"""What for.\n\nMore."""\n\n'
    code = 'import os  # why\n\n\n# A remark.\ndef f(\n    a,\n):\n    """Says."""\n    return """\n\ntext"""\n'
    assert code_lines(docs + code) == 1 + 3 + 3


def test_module_lines_count_a_technique_once_and_users_own_not_at_all() -> None:
    once = module_lines(["accumulation,micro_batches=4"])
    assert once > 20
    assert module_lines(["accumulation", "accumulation", "my.module:Own"]) == once
