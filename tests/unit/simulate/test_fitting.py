"""The fit of the energy model's prior, on workloads that are made up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ballast.decide.model.curve_shape import Form
from ballast.decide.model.prediction import GpuRange
from ballast.errors import UserError
from ballast.simulate.fitting.prior_fit import FORMS, Configuration, fit, regress, zeus_configurations

GPU = GpuRange("A40", 100.0, 300.0, 30.0)
FORM = Form((2.0, 5.0), (1.3, 0.9), 0.2, 0.3)
LIMITS = tuple(float(watts) for watts in range(100, 301, 25))
HEADER = "dataset,network,batch_size,optimizer,power_limit,time_per_epoch,average_power\n"


def made(
    number: int, dice: np.random.Generator, *, noise: float = 0.005, form: Form = FORM, spread: float = 0.02
) -> Configuration:
    """Return a workload of the form, with coefficients about (0.1, 0.2) and (-0.4, -0.6)."""
    draw = float(dice.uniform(0.5, 0.9))
    own = np.array([0.1, 0.2, -0.4, -0.6]) + dice.normal(0, spread, 4)
    rows = form.functions(np.array(LIMITS) / 300.0, draw) @ own
    time, power = rows.reshape(2, -1) + dice.normal(0, noise, (2, len(LIMITS)))
    seconds, watts = np.exp(time) * 60, np.exp(power) * draw * 300
    return Configuration(GPU, f"workload {number % 4}", f"{number:03}", LIMITS, tuple(seconds), tuple(watts))


def workloads(count: int = 60, noise: float = 0.005) -> list[Configuration]:
    dice = np.random.default_rng(3)
    return [made(number, dice, noise=noise) for number in range(count)]


def test_it_finds_what_workloads_were_made_of() -> None:
    found = regress(workloads(), FORM, 1)
    assert found.means[:, 0] == pytest.approx([0.1, 0.2, -0.4, -0.6], abs=0.02)
    assert np.all(np.sqrt(np.diag(found.covariance)) < 0.06)
    assert np.all(np.sqrt(found.noise) < 0.012)


def test_workloads_whose_measurements_scatter_hardly_change_it() -> None:
    clean = workloads()
    dice = np.random.default_rng(4)
    scattered = [
        replace(each, seconds=tuple(np.array(each.seconds) * np.exp(dice.normal(0, 0.2, 9)))) for each in clean[:6]
    ]
    one, other = regress(clean, FORM, 1), regress([*scattered, *clean[6:]], FORM, 1)
    assert other.means[:2, 0] == pytest.approx(one.means[:2, 0], abs=0.02)
    assert np.sqrt(other.noise[0]) < 2 * np.sqrt(one.noise[0])


def test_the_order_of_configurations_makes_no_difference() -> None:
    some, few = workloads(16), FORMS[::8]
    assert fit(some, forms=few) == fit(some[::-1], forms=few)


def test_the_prior_says_what_it_rests_on() -> None:
    prior = fit(workloads(16), "made up")
    assert (prior.source, prior.configurations, prior.gpu_models) == ("made up", 16, ("A40",))
    assert (prior.form, len(prior.means[0])) in FORMS
    assert 0.5 < prior.draws[0] < prior.draws[1] < 0.9
    assert prior.unseen_widening == 1.0


def test_gpu_models_that_differ_make_it_doubt_others() -> None:
    alike = [replace(each, gpu=replace(GPU, name="twin")) for each in workloads(16)]
    slower = [replace(each, seconds=_slower(each)) for each in alike]
    widenings = [fit([*workloads(16), *others], forms=FORMS[:1]).unseen_widening for others in (alike, slower)]
    assert widenings[1] > 1.5 * widenings[0]


def _slower(one: Configuration) -> tuple[float, ...]:
    return tuple(one.seconds[-1] * (each / one.seconds[-1]) ** 3 for each in one.seconds)


def test_one_workload_alone_is_refused() -> None:
    with pytest.raises(UserError, match="at least two workloads"):
        fit(workloads(4)[:1])


def test_a_folder_without_the_measurements_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no summary_power_v100\.csv"):
        zeus_configurations(tmp_path)


def test_recommendation_is_left_out_and_so_is_who_was_not_measured_at_the_found_limit(tmp_path: Path) -> None:
    _write(
        tmp_path / "summary_power_v100.csv", ["a,b,8,adam,250,10,200", "a,b,8,adam,100,20,90", "m,ncf,8,adam,250,5,40"]
    )
    _write(tmp_path / "summary_power_a40.csv", ["a,b,8,adam,275,10,200", "a,b,8,adam,100,20,90"])
    (found,) = zeus_configurations(tmp_path)
    assert (found.gpu.name, found.workload, found.name) == ("V100", "a/b", "a/b/8/adam")
    assert (found.limits, found.seconds, found.watts) == ((100.0, 250.0), (20.0, 10.0), (90.0, 200.0))


def _write(path: Path, rows: Sequence[str]) -> None:
    path.write_text(HEADER + "\n".join(rows) + "\n")
