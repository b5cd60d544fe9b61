"""What the energy model assumes of a workload that it has not measured: a few fitted figures, with their source.

`ballast.simulate.fitting.prior_fit` made them from the power and epoch times measured for the Zeus paper (NSDI 2023)
on V100 and A40, recommendation workloads left out. What must hold: they are a refit's, not anybody's choice.
"""

from __future__ import annotations

from dataclasses import dataclass

from ballast.decide.model.curve_shape import Form


@dataclass(frozen=True, slots=True)
class Prior:
    """Of curves' coefficients: those of log slowdown first, then those of log power (see `curve_shape`).

    Attributes:
        form: Of the curves.
        means: Of each coefficient, a polynomial in the draw at the found limit.
        covariance: Of the coefficients, from workload to workload.
        time_noise: Standard deviation of log slowdown that the curves leave where no limit binds (`Form.missed`).
        watts_noise: The same of log power.
        draws: Least and largest draw at the found limit that was seen, over that limit.
        deepest: Largest draw at the found limit that was seen, over the limit in force.
        overshoot: Largest power seen, over the limit in force.
        gpu_models: On which was measured.
        unseen_widening: By what the deviations of coefficients and of what curves leave are multiplied on another GPU
            model: what leaving out one of those takes; 1 if there is only one, which says nothing of others.
        configurations: How many were fitted.
        source: Of the measurements.
    """

    form: Form
    means: tuple[tuple[float, ...], ...]
    covariance: tuple[tuple[float, ...], ...]
    time_noise: float
    watts_noise: float
    draws: tuple[float, float]
    deepest: float
    overshoot: float
    gpu_models: tuple[str, ...]
    unseen_widening: float
    configurations: int
    source: str


PRIOR = Prior(
    form=Form(powers=(2.0, 5.0, 10.0), hinges=(1.3, 0.9), width=0.2, missed_from=0.1),
    means=(
        (-0.435495, 0.781747),
        (2.48019, -2.26018),
        (-1.17617, 1.22288),
        (-0.359325, 0.0610447),
        (0.0535952, -1.6805),
    ),
    covariance=(
        (0.320909, -0.560212, 0.0841395, -0.285517, 0.455856),
        (-0.560212, 1.73783, -0.438863, 0.249874, -0.203922),
        (0.0841395, -0.438863, 0.13777, 0.0178586, -0.109322),
        (-0.285517, 0.249874, 0.0178586, 0.86732, -1.45222),
        (0.455856, -0.203922, -0.109322, -1.45222, 2.48988),
    ),
    time_noise=0.0104066,
    watts_noise=0.0172871,
    draws=(0.156373, 0.922918),
    deepest=2.76875,
    overshoot=1.20738,
    gpu_models=("A40", "V100"),
    unseen_widening=1.31985,
    configurations=95,
    source="zeus",
)
