"""An experiment's file: what the committed one says, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ballast.errors import UserError
from ballast.simulate.engine.options import Options
from ballast.simulate.experiments.experiment import InvalidExperiment, experiment_file, read_experiment
from ballast.simulate.inputs.trace_formats import EXPERIMENT_KINDS
from ballast.simulate.policies.catalogue import POLICIES
from tests.unit.simulate.published import eight_nodes
from tests.unit.simulate.tiny_experiment import Tiny


def test_the_committed_experiment_is_frozen() -> None:
    """Stated before its first result: who changes a figure makes another experiment, in another file."""
    experiment, nodes = read_experiment(experiment_file("philly-november-2017"))
    assert nodes == eight_nodes()
    assert (experiment.name, experiment.jobs) == ("philly-november-2017", "philly-november")
    assert experiment.kinds == EXPERIMENT_KINDS
    assert experiment.loads == (0.60, 0.80, 0.95)
    assert experiment.seeds == tuple(range(10))
    assert experiment.max_slowdown_percent == 10
    assert (experiment.deadline_every, experiment.deadline_durations) == (4, 3)
    assert [table.options for table in experiment.tables] == [
        Options(),
        Options(switch_off_after_seconds=120, boot_seconds=60, boot_joules=30_000),
    ]
    assert experiment.baseline == "fifo-spread"
    assert [case.slug for case in experiment.cases] == [
        *(f"nodes-stay-on-{load}" for load in (60, 80, 95)),
        *(f"empty-nodes-are-switched-off-{load}" for load in (60, 80, 95)),
    ]


def test_its_arms_are_all_that_differ_without_a_series() -> None:
    experiment, _ = read_experiment(experiment_file("philly-november-2017"))
    assert experiment.arms[0] == "fifo-spread"
    assert {*experiment.arms} == {*POLICIES} - {"carbon-gate"}
    assert len({*experiment.arms}) == len(experiment.arms)


def test_the_baseline_is_an_arm_even_if_it_is_not_named_first(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path, policies=["per-job-limit", "static-cap"])
    experiment, _ = read_experiment(tiny.path)
    assert experiment.arms == ("fifo-spread", "per-job-limit", "static-cap")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"baseline": "magic"}, r"baseline: must be one of fifo-spread, .* \(is 'magic'\)"),
        ({"policies": ["fifo-spread", "magic"]}, r"policies: must be one of .* \(is 'magic'\)"),
        ({"policies": ["carbon-gate"]}, "policies: waits for a carbon series, .* leave it out"),
        ({"policies": ["static-cap", "static-cap"]}, "policies: a value stands twice: name each once"),
        ({"loads": [0.5, 0.5]}, r"loads: a value stands twice: name each once \(is \[0.5, 0.5\]\)"),
        ({"loads": []}, r"loads: .*at least 1 item"),
        ({"loads": [0]}, r"loads\[0\]: .*greater than 0 \(is 0\)"),
        ({"loads": ["much"]}, r"loads\[0\]: .*number \(is 'much'\)"),
        ({"seeds": [1.5]}, r"seeds\[0\]: .*integer"),
        ({"seeds": None}, "seeds: is missing: write it"),
        ({"kinds": []}, "kinds: "),
        ({"maxSlowdownPercent": -1}, r"maxSlowdownPercent: .*greater than or equal to 0 \(is -1\)"),
        ({"max_slowdown_percent": 10}, "max_slowdown_percent: unknown field: remove it, or spell it as one of name"),
        ({"jobs": "helios"}, r"jobs: .*'philly-november' \(is 'helios'\)"),
        ({"tables": [{"name": "a b"}, {"name": "a-b"}]}, "tables: two have this name, or one that differs in signs"),
        ({"tables": [{"name": "x", "bootTime": 60}]}, r"tables\[0\].bootTime: .*has no unit"),
        (
            {"tables": [{"name": "x", "boots": 1}]},
            r"tables\[0\].boots: unknown field: .* name, switchOffAfter, bootTime",
        ),
        ({"cluster": None}, "cluster: .*list of node groups"),
        ({"cluster": [{"name": "v100"}]}, r"cluster.v100.count: write how many such nodes"),
    ],
)
def test_mistakes_are_told_with_field_value_and_remedy(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InvalidExperiment, match=rf"tiny.yaml: .*{told}"):
        read_experiment(Tiny(tmp_path, **changes).path)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path, loads=[-1], seeds=["a"], cluster=[{"name": "v100"}])
    with pytest.raises(InvalidExperiment) as told:
        read_experiment(tiny.path)
    fields = {problem.field for problem in told.value.problems}
    assert {"loads[0]", "seeds[0]", "cluster.v100.gpus"} <= fields


@pytest.mark.parametrize(
    ("text", "told"), [("[", "is no YAML"), ("- a", "must be a mapping, and is list"), ("", "mapping")]
)
def test_what_is_no_experiment_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "e.yaml"
    path.write_text(text)
    with pytest.raises(InvalidExperiment, match=told):
        read_experiment(path)


def test_a_file_that_is_not_there_is_told_with_those_of_ours() -> None:
    with pytest.raises(UserError, match=r"no-such: there is no such file: name one, or one of ours \(philly-november-"):
        experiment_file("no-such")


def test_some_loads_and_the_first_seeds_may_be_taken(tmp_path: Path) -> None:
    experiment, _ = read_experiment(Tiny(tmp_path).path)
    some = experiment.narrowed([0.9], 2)
    assert (some.loads, some.seeds) == ((0.9,), (0, 1))
    assert experiment.narrowed() == experiment


@pytest.mark.parametrize(
    ("loads", "seeds", "told"),
    [([0.7], None, "loads: tiny has 0.5, 0.9, and not 0.7"), (None, 4, "seeds: tiny has 3: ask for 1 to so many")],
)
def test_none_may_be_added(tmp_path: Path, loads: list[float] | None, seeds: int | None, told: str) -> None:
    experiment, _ = read_experiment(Tiny(tmp_path).path)
    with pytest.raises(UserError, match=told):
        experiment.narrowed(loads, seeds)
