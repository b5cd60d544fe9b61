"""A plan is valid or never made, and says what to change."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path
from typing import Any

import pytest

from frugal.bench import plan as module
from frugal.bench.plan import Case, Plan
from frugal.bench.records import Phase
from frugal.config import TrainConfig
from frugal.errors import ConfigError

GOOD = """
    seeds = [4, 7]
    [defaults]
    model = "cnn"
    data_dir = "/data"
    lr = 1
    [[case]]
    name = "plain"
    [[case]]
    name = "pruned"
    baseline = "plain"
    with = ["pruning,sparsity=0.8", "amp"]
    phases = ["inference"]
    model = "mlp"
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "small.toml"
    path.write_text(textwrap.dedent(text))
    return path


def test_a_plan_is_read(tmp_path: Path) -> None:
    plan = Plan.from_toml(written(tmp_path, GOOD))
    settings: dict[str, Any] = {"data_dir": Path("/data"), "lr": 1.0}
    assert plan == Plan(
        name="small",
        seeds=(4, 7),
        cases=(
            Case(name="plain", config=TrainConfig(model="cnn", **settings)),
            Case(
                name="pruned",
                config=TrainConfig(model="mlp", **settings),
                techniques=("pruning,sparsity=0.8", "amp"),
                baseline="plain",
                phases=(Phase.INFERENCE,),
            ),
        ),
    )
    assert isinstance(plan.cases[0].config.lr, float)


def test_the_documented_example_is_a_plan(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", module.__doc__ or "", re.DOTALL)
    assert example is not None
    plan = Plan.from_toml(written(tmp_path, example[1]))
    assert (plan.seeds, plan.target_accuracy, len(plan.cases)) == ((0, 1, 2), 0.95, 3)
    assert [case.config.batch_size for case in plan.cases] == [64, 64, 32]


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('baseline = "plain"', 'baseline = "plane"', "baseline='plane': case 'pruned': use a case of the plan"),
        ('baseline = "plain"', 'baseline = "pruned"', "baseline='pruned': case 'pruned': use a case of the plan"),
        ('name = "pruned"', 'name = "plain"', "case='plain': another case has this name"),
        ('name = "plain"', "", "give it a name"),
        ("seeds = [4, 7]", "seeds = [4, 4]", "seeds=[4, 4]: use whole numbers from 0, each once"),
        ("seeds = [4, 7]", "seeds = 3", "seeds=3: must be a list"),
        ("seeds = [4, 7]", "seeds = [true]", "seeds=True: must be of type int"),
        ("seeds = [4, 7]", "target_accuracy = 95", "target_accuracy=95.0: use a share"),
        ("seeds = [4, 7]", "seed = 3", "seed=3: is no setting of a plan; there are name, seeds"),
        ("lr = 1", "lr = -1", "lr=-1.0: use a positive number"),
        ("lr = 1", "lrr = 1", "lrr=1: is no setting of case 'plain'; there are data, model"),
        ("lr = 1", "seed = 1", "seed=1: case 'plain': leave it out, the plan's seeds take its place"),
        ("lr = 1", 'checkpoint_dir = "/x"', "leave it out, a bench measures whole trainings"),
        ("lr = 1", 'epochs = "two"', "epochs='two': must be of type int"),
        ('["inference"]', '["answering"]', "phases='answering': use one or both of training, inference"),
        ('["inference"]', "[]", "case 'pruned': use one or both of training, inference"),
        ('name = "plain"', 'name = "plain"\nphases = ["training"]', "is the baseline of 'pruned' and must measure"),
        ('model = "mlp"', 'data = "fashion-mnist"', "must learn the same data"),
        ('model = "mlp"', 'device = "cuda"', "use one for all cases"),
        ("[[case]]", "[case]", "is not TOML"),
    ],
)
def test_a_mistake_is_named_with_its_remedy(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Plan.from_toml(written(tmp_path, textwrap.dedent(GOOD).replace(old, new)))
    assert complaint in str(refused.value)


def test_a_baseline_has_none_itself() -> None:
    cases = (
        Case(name="plain", config=TrainConfig()),
        Case(name="pruned", config=TrainConfig(), baseline="plain"),
        Case(name="both", config=TrainConfig(), baseline="pruned"),
    )
    with pytest.raises(ConfigError, match="has a baseline itself; use 'plain'"):
        Plan(name="chain", cases=cases, seeds=(0,), target_accuracy=None)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read .No such file"):
        Plan.from_toml(tmp_path / "no.toml")
