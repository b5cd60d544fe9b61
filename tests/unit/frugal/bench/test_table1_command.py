"""``frugal table1``: what it asks the bench for, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from frugal import cli
from frugal.bench import runner, table1_command
from frugal.bench.plan import Plan
from frugal.bench.runner import Outcome
from frugal.bench.trial import Procedure
from frugal.errors import DataError


class _Refused(DataError):
    """Ends the command where the trainings would begin."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Plan, Path, Procedure]]:
    """What the bench was asked for; nothing is trained."""
    calls: list[tuple[Plan, Path, Procedure]] = []

    def run_plan(plan: Plan, out: Path, meter: object, *, procedure: Procedure, signals: object) -> Outcome:
        calls.append((plan, out, procedure))
        raise _Refused("no training in this test")

    monkeypatch.setattr(runner, "run_plan", run_plan)
    return calls


def test_without_options_it_is_fashion_mnist_with_three_seeds(asked: list[tuple[Plan, Path, Procedure]]) -> None:
    assert cli.main(["table1", "--device", "cpu"]) == 1
    ((plan, out, _),) = asked
    assert {case.config.data for case in plan.cases} == {"fashion-mnist"}
    assert (plan.seeds, out) == ((0, 1, 2), Path("table1-cpu"))


def test_quick_is_digits_in_a_folder_of_its_own(asked: list[tuple[Plan, Path, Procedure]]) -> None:
    cli.main(["table1", "--device", "cpu", "--quick"])
    ((plan, out, procedure),) = asked
    assert {case.config.data for case in plan.cases} == {"digits"}
    assert (plan.seeds, out) == ((0, 1), Path("table1-cpu-quick"))
    assert procedure.seconds < 0.5


def test_quick_gives_a_gpus_counter_time_to_move() -> None:
    parser, _ = cli.build_parser()
    arguments = parser.parse_args(["table1", "--quick"])
    assert table1_command._size(arguments, "cuda").inference_seconds >= 1
    assert table1_command._size(arguments, "cpu").inference_seconds < 0.5


def test_options_go_before_the_size(asked: list[tuple[Plan, Path, Procedure]], tmp_path: Path) -> None:
    options = ["--seeds", "1", "--epochs", "2", "--inference-seconds", "0.2", "--out", str(tmp_path)]
    cli.main(["table1", "--device", "cpu", "--quick", *options])
    ((plan, out, procedure),) = asked
    assert (plan.seeds, out, procedure.seconds) == ((0,), tmp_path, 0.2)
    assert plan.case("mlp").config.epochs == 2


def test_only_runs_the_cases_of_the_rows_that_are_named(asked: list[tuple[Plan, Path, Procedure]]) -> None:
    cli.main(["table1", "--device", "cpu", "--only", "accumulation", "--only", "augmentation"])
    ((plan, _, _),) = asked
    assert {case.name.partition(":")[0] for case in plan.cases if case.baseline} == {"accumulation", "augmentation"}
    assert [case.name for case in plan.cases if not case.baseline] == ["mlp"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--only", "magic"], "--only magic: use one of pruning, "),
        (["--seeds", "0"], "--seeds 0: use at least 1"),
        (["--device", "tpu"], "--device tpu: use one of auto, cpu, cuda"),
        (["--only", "scheduling"], "name other rows"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is(
    options: list[str], message: str, asked: list[tuple[Plan, Path, Procedure]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["table1", *options]) == 2
    assert message in capsys.readouterr().err
    assert not asked
