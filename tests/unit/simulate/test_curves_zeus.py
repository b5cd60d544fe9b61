"""Zeus's tables become curves against the V100 at 250 W, point for point; only NCF's noise is taken out."""

from __future__ import annotations

from pathlib import Path

import pytest

from ballast.errors import UserError
from ballast.simulate.curves import ZEUS_KINDS, fitted_curves, zeus_curves
from tests.unit.simulate.published import DATA

ZEUS = DATA / "zeus"
needs_zeus = pytest.mark.skipif(not ZEUS.is_dir(), reason=f"Zeus's tables are not in {ZEUS}")


@needs_zeus
def test_six_kinds_on_two_models_at_every_limit() -> None:
    curves = zeus_curves(ZEUS)
    assert curves.kinds == tuple(ZEUS_KINDS)
    assert (curves.models, curves.reference_model, curves.measured) == (("V100", "A40"), "V100", True)
    for kind in curves.kinds:
        assert [p.limit_watts for p in curves.of(kind, "V100").points] == [100, 125, 150, 175, 200, 225, 250]
        assert curves.of(kind, "V100").speed(250) == 1
        assert curves.of(kind, "A40").max_limit_watts == 300
    assert len(curves.of("bert-sentiment-128", "A40").points) == 5
    assert len(curves.of("resnet50-256", "A40").points) == 9


@needs_zeus
def test_points_are_as_measured() -> None:
    curves = zeus_curves(ZEUS)
    assert curves.of("resnet50-256", "V100").speed(150) == pytest.approx(3514.986666666666 / 4148.66)
    assert curves.of("resnet50-256", "A40").speed(100) == pytest.approx(3514.986666666666 / 10606.19)
    assert curves.of("resnet50-256", "A40").watts(100) == pytest.approx(120.73848214417882)  # above its limit
    deepspeech = curves.of("deepspeech2-192", "A40")
    assert deepspeech.speed(275) > deepspeech.speed(300)


@needs_zeus
def test_the_optimizer_and_batch_size_asked_for_are_taken() -> None:
    curves = zeus_curves(ZEUS)
    assert curves.of("shufflenet-1024", "V100").watts(100) == pytest.approx(86.86460850784009)  # adam's is 91.0
    assert curves.of("deepspeech2-192", "V100").watts(250) == pytest.approx(160.55840881076978)


@needs_zeus
def test_ncf_is_its_median_at_every_limit() -> None:
    curves = zeus_curves(ZEUS)
    v100, a40 = curves.of("ncf-1024", "V100"), curves.of("ncf-1024", "A40")
    assert {(p.work_per_second, p.watts) for p in v100.points} == {(1.0, 37.62979167671047)}
    assert {p.watts for p in a40.points} == {84.61892786088946}
    (speed,) = {p.work_per_second for p in a40.points}
    assert speed == pytest.approx(19.298333333333336 / 20.39833333333333)


@needs_zeus
@pytest.mark.parametrize("kind", ZEUS_KINDS)
@pytest.mark.parametrize("model", ["V100", "A40"])
def test_fitted_curves_are_as_near_as_they_say(kind: str, model: str) -> None:
    measured, fitted = zeus_curves(ZEUS).of(kind, model), fitted_curves().of(kind, model)
    speeds, watts = [], []
    for point in measured.points:
        speeds.append(fitted.speed(point.limit_watts) / point.work_per_second - 1)
        watts.append(fitted.watts(point.limit_watts) / point.watts - 1)
    assert mean_square(speeds) ** 0.5 <= (0.014 if model == "V100" else 0.035)
    shufflenet = (kind, model) == ("shufflenet-1024", "V100")
    assert mean_square(watts) ** 0.5 <= (0.0585 if shufflenet else 0.0175 if model == "V100" else 0.023)


def mean_square(values: list[float]) -> float:
    return sum(value * value for value in values) / len(values)


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"summary_power_v100\.csv: cannot be read"):
        zeus_curves(tmp_path)


def test_a_table_without_a_kind_is_refused(tmp_path: Path) -> None:
    header = "dataset,network,batch_size,optimizer,power_limit,time_per_epoch,average_power\n"
    for model in ("v100", "a40"):
        (tmp_path / f"summary_power_{model}.csv").write_text(header + "squad,bert_base_uncased,32,adamw,100,1,1\n")
    with pytest.raises(UserError, match="has no line librispeech,deepspeech2,192,adamw"):
        zeus_curves(tmp_path)
