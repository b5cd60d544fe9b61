"""What the energy model may know of an experiment's kinds of jobs before it sees one: all but themselves.

The jobs of an experiment draw and take what Zeus measured, and the prior that Ballast ships was fitted to the same
tables. What must hold: the model learns a kind while its jobs run, from a prior that was fitted without any row of
that workload, whatever its batch size or optimizer; else the arm that uses it would have been told.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ballast.decide.model.prior import Prior
from ballast.simulate.curves import ZEUS_KINDS
from ballast.simulate.fitting.prior_fit import fit, zeus_configurations


def priors_without(folder: Path, kinds: Iterable[str] = tuple(ZEUS_KINDS)) -> dict[str, Prior]:
    """For each kind the prior that everything else in Zeus's tables supports.

    Args:
        folder: Zeus's tables.
        kinds: Of `ZEUS_KINDS`; others get no prior of their own.

    Raises:
        UserError: The folder lacks a file.
    """
    configurations = zeus_configurations(folder)
    priors: dict[str, Prior] = {}
    for kind in kinds:
        if kind in ZEUS_KINDS:
            workload = "/".join(ZEUS_KINDS[kind][:2])
            others = [one for one in configurations if one.workload != workload]
            priors[kind] = fit(others, f"Zeus's tables without {workload}")
    return priors
