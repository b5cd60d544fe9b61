"""Fits the energy model's prior to measured configurations: expectation-maximization of a hierarchical regression.

The form of the curves is chosen by the configurations themselves: of a few forms, the one that predicts workloads best
that were left out. How uncertain a prediction is comes from there as well: what a regression says of its own errors is
too little wherever the next workload is unlike those that were fitted. A caller that leaves configurations out leaves
them out of all of this. A configuration whose measurements scatter more than others' counts less (errors follow a
Student's t distribution): some epochs last seconds only.

What must hold: the same configurations give the same prior in any order; recommendation workloads (NCF) are left out by
the reader, because limits never bind them and their differences are noise.
"""

from __future__ import annotations

import csv
import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from ballast.decide.model.curve_shape import Array, Form, mean_terms
from ballast.decide.model.prediction import GpuRange
from ballast.decide.model.prior import Prior
from ballast.errors import UserError

GPUS = {"v100": GpuRange("V100", 100.0, 250.0, 33.0), "a40": GpuRange("A40", 100.0, 300.0, 30.0)}

FORMS = tuple(
    (Form(powers, (1.3, 0.9), width, missed_from), terms)
    for powers, width, missed_from, terms in product(
        ((2.0, 4.0, 8.0), (3.0, 6.0, 9.0), (2.0, 5.0, 10.0), (1.0, 4.0, 8.0)), (0.1, 0.2), (0.1, 0.3), (1, 2)
    )
)
"""To choose from, with how many terms the means of coefficients have."""

ROUNDS = 40
RIDGE = 1e-3
"""Of the means' polynomials: they stay near nothing where the measurements say nothing."""

FREEDOM = 4.0
"""Degrees of freedom of the errors' distribution."""

JUDGED_SHARE = 0.5
"""Forms are judged at limits of at least this share of the found one: below it most take half as long again."""

COVERED, DEVIATIONS = 0.9, 1.645
"""So many of the left-out measurements shall lie within so many standard deviations: as of a normal distribution."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """One measured workload on one GPU model: seconds and watts by ascending limit; the last is the found one."""

    gpu: GpuRange
    workload: str
    name: str
    limits: tuple[float, ...]
    seconds: tuple[float, ...]
    watts: tuple[float, ...]

    @property
    def draw(self) -> float:
        """Power at the found limit, over that limit."""
        return self.watts[-1] / self.gpu.max_limit_watts

    @property
    def shares(self) -> Array:
        """Limits below the found one, over that one."""
        return np.array(self.limits[:-1]) / self.gpu.max_limit_watts

    @property
    def ratios(self) -> Array:
        """Logarithms of slowdown at these limits, then of power over that at the found limit."""
        columns = (self.seconds, self.watts)
        return np.concatenate([np.log(np.array(column[:-1]) / column[-1]) for column in columns])


@dataclass(frozen=True, slots=True)
class Regression:
    """What a fit of one form gives.

    Attributes:
        means: Of each coefficient, a polynomial in the draw.
        covariance: Of the coefficients, from workload to workload.
        noise: Variance of log slowdown and of log power that the curves leave.
        draws: Least and largest draw that was seen.
    """

    form: Form
    means: Array
    covariance: Array
    noise: Array
    draws: tuple[float, float]

    def errors(self, one: Configuration) -> tuple[Array, Array]:
        """Return how far off the prediction from one reading is at each limit, and the covariance it is stated with."""
        rise = self.form.functions(one.shares, one.draw)
        # As in the energy model, polynomials are not extrapolated.
        mean = rise @ self.means @ mean_terms(float(np.clip(one.draw, *self.draws)), self.means.shape[1])
        return one.ratios - mean, rise @ self.covariance @ rise.T

    def noise_of(self, one: Configuration) -> Array:
        """Return the variance that the curves leave, of each of the same."""
        return np.repeat(self.noise, len(one.shares)) * scatter(one, self.form)


def scatter(one: Configuration, form: Form) -> Array:
    """Return by what the variance about the curves is larger at each limit than where none binds; one for power."""
    count = len(one.shares)
    return np.concatenate([form.missed(one.ratios[:count]), np.ones(count)])


def zeus_configurations(folder: Path) -> list[Configuration]:
    """Read all configurations with a measurement at the found limit.

    Raises:
        UserError: The folder lacks a file.
    """
    found = []
    for short, gpu in GPUS.items():
        path = folder / f"summary_power_{short}.csv"
        if not path.is_file():
            raise UserError(f"{folder} has no {path.name}: name the folder with the Zeus measurements")
        rows: dict[tuple[str, str, str, str], list[tuple[float, float, float]]] = defaultdict(list)
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                key = (row["dataset"], row["network"], row["batch_size"], row["optimizer"])
                rows[key].append((float(row["power_limit"]), float(row["time_per_epoch"]), float(row["average_power"])))
        for key, points in sorted(rows.items()):
            limits, seconds, watts = zip(*sorted(points), strict=True)
            if key[1] != "ncf" and limits[-1] == gpu.max_limit_watts:
                found.append(Configuration(gpu, "/".join(key[:2]), "/".join(key), limits, seconds, watts))
    return found


def fit(configurations: Sequence[Configuration], source: str = "", forms: Sequence[tuple[Form, int]] = FORMS) -> Prior:
    """Return the prior that the configurations support.

    Args:
        configurations: What was measured.
        source: Of the measurements.
        forms: To choose from, with their numbers of terms.

    Raises:
        UserError: They are of fewer than two workloads, so that none can be left out.
    """
    ordered = sorted(configurations, key=lambda one: (one.gpu.name, one.name))
    if len({one.workload for one in ordered}) < 2:
        raise UserError("the energy model's prior needs measurements of at least two workloads: add others")
    form, terms, left_out = _choose_form(ordered, forms)
    regression = regress(ordered, form, terms)
    widening = _widening(left_out)
    models = tuple(sorted({one.gpu.name for one in ordered}))
    unseen = 1.0
    if len(models) > 1:
        unseen = _widening(_leave_out(ordered, form, terms, lambda one: one.gpu.name), at_least=widening) / widening
    ratios = [one.draw * one.gpu.max_limit_watts / one.limits[0] for one in ordered]
    over = max(drawn / limit for one in ordered for drawn, limit in zip(one.watts, one.limits, strict=True))
    return Prior(
        form=form,
        means=tuple(tuple(_rounded(value) for value in row) for row in regression.means),
        covariance=tuple(tuple(_rounded(value) for value in row) for row in regression.covariance * widening**2),
        time_noise=_rounded(math.sqrt(regression.noise[0])),
        watts_noise=_rounded(math.sqrt(regression.noise[1])),
        draws=(_rounded(regression.draws[0]), _rounded(regression.draws[1])),
        deepest=_rounded(max(ratios)),
        overshoot=_rounded(over),
        gpu_models=models,
        unseen_widening=_rounded(unseen),
        configurations=len(ordered),
        source=source,
    )


def regress(configurations: Sequence[Configuration], form: Form, terms: int) -> Regression:
    """Fit one form: the most likely means, covariance and noise, configurations with their own scale of noise."""
    count, size = len(configurations), form.size
    most = max(len(one.shares) for one in configurations)
    # A row for each limit, slowdown's first and then power's; where fewer limits were measured, rows of no weight.
    rise, ratio = np.zeros((count, 2 * most, size)), np.zeros((count, 2 * most))
    trust, points, polynomial = np.zeros((count, 2 * most)), np.zeros((count, 1)), np.zeros((count, terms))
    for index, one in enumerate(configurations):
        here = len(one.shares)
        rows = np.r_[:here, most : most + here]
        rise[index, rows], ratio[index, rows] = form.functions(one.shares, one.draw), one.ratios
        trust[index, rows] = 1 / scatter(one, form)
        points[index], polynomial[index] = here, mean_terms(one.draw, terms)
    covariance, noise, weight = np.eye(size) * 0.1, np.full(2, 0.015**2), np.ones((count, 2))
    means = np.zeros((size, terms))
    for _ in range(ROUNDS):
        weighted = np.swapaxes(rise * (trust * np.repeat(weight / noise, most, axis=1))[:, :, None], 1, 2)
        told, toward = weighted @ rise, (weighted @ ratio[:, :, None])[:, :, 0]
        spread = np.linalg.inv(np.linalg.inv(covariance) + told)
        shrunk = told @ spread
        left = np.einsum("cij,ckl->ikjl", told - shrunk @ told, polynomial[:, :, None] * polynomial[:, None, :])
        right = (toward - (shrunk @ toward[:, :, None])[:, :, 0]).T @ polynomial
        square = left.reshape(size * terms, -1) + RIDGE * np.eye(size * terms)
        means = np.linalg.solve(square, right.ravel()).reshape(size, terms)
        mean = polynomial @ means.T
        own = (spread @ (toward - (told @ mean[:, :, None])[:, :, 0])[:, :, None])[:, :, 0]
        covariance = (own.T @ own + spread.sum(axis=0)) / count + 1e-6 * np.eye(size)
        rest = ratio - (rise @ (mean + own)[:, :, None])[:, :, 0]
        squares = trust * (rest**2 + ((rise @ spread) * rise).sum(axis=2))
        squares = squares.reshape(count, 2, most).sum(axis=2)
        weight = (FREEDOM + points) / (FREEDOM + squares / noise)
        noise = np.maximum((weight * squares).sum(axis=0) / points.sum(), 1e-5)
    draws = [one.draw for one in configurations]
    return Regression(form, means, covariance, noise, (min(draws), max(draws)))


LeftOut = list[tuple[Regression, Configuration]]


def _choose_form(
    configurations: Sequence[Configuration], forms: Sequence[tuple[Form, int]]
) -> tuple[Form, int, LeftOut]:
    """Return the form that predicts left-out workloads best, with those predictions."""
    tried = []
    for form, terms in forms:
        left_out = _leave_out(configurations, form, terms, lambda one: one.workload)
        tried.append((math.fsum(_likelihood(*each) for each in left_out), form, terms, left_out))
    _, form, terms, left_out = max(tried, key=lambda each: each[0])
    return form, terms, left_out


def _leave_out(
    configurations: Sequence[Configuration], form: Form, terms: int, key: Callable[[Configuration], str]
) -> LeftOut:
    found: LeftOut = []
    for group in sorted({key(one) for one in configurations}):
        regression = regress([one for one in configurations if key(one) != group], form, terms)
        found.extend((regression, one) for one in configurations if key(one) == group)
    return found


def _likelihood(regression: Regression, one: Configuration) -> float:
    """Return the logarithm of the density of a configuration's measurements, for each of them."""
    error, spread = regression.errors(one)
    total = spread + np.diag(regression.noise_of(one))
    likelihood, here = 0.0, np.flatnonzero(one.shares >= JUDGED_SHARE)
    for rows in (here, here + len(one.shares)):
        part, count = total[np.ix_(rows, rows)], len(rows)
        square = float(error[rows] @ np.linalg.solve(part, error[rows]))
        likelihood += math.lgamma((FREEDOM + count) / 2) - math.lgamma(FREEDOM / 2)
        likelihood -= count / 2 * math.log(FREEDOM * math.pi) + float(np.linalg.slogdet(part)[1]) / 2
        likelihood -= (FREEDOM + count) / 2 * math.log1p(square / FREEDOM)
    return likelihood / len(here)


def _widening(left_out: LeftOut, at_least: float = 1.0) -> float:
    """Return by what to multiply stated deviations so that they cover what they say of left-out measurements."""
    squares, spreads, noises = [], [], []
    for regression, one in left_out:
        here = np.flatnonzero(one.shares >= JUDGED_SHARE)
        error, spread = regression.errors(one)
        squares += list(error[here] ** 2)
        spreads += list(np.diag(spread)[here])
        noises += list(regression.noise_of(one)[here])
    square, spread, noise = np.array(squares), np.array(spreads), np.array(noises)
    # Each measurement is covered from some factor on: the quantile of these is the factor for all.
    needed = np.sqrt(np.maximum(square / DEVIATIONS**2 - noise, 0.0) / np.maximum(spread, 1e-12))
    return max(float(np.quantile(needed, COVERED)), at_least)


def _rounded(value: float) -> float:
    """Return six digits of a figure: a refit elsewhere differs beyond them."""
    return float(f"{value:.6g}")
