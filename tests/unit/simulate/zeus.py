"""Where Zeus's measurements lie, for tests that fit to them."""

from __future__ import annotations

from functools import lru_cache

import pytest

from ballast.decide.model.prior import PRIOR, Prior
from ballast.simulate.fitting.prior_fit import Configuration, fit, zeus_configurations
from tests.unit.simulate.published import DATA

ZEUS = DATA / "zeus"
needs_zeus = pytest.mark.skipif(not ZEUS.is_dir(), reason=f"Zeus's tables are not in {ZEUS}")


@lru_cache
def configurations() -> tuple[Configuration, ...]:
    """Return all of them."""
    return tuple(zeus_configurations(ZEUS))


@lru_cache
def prior_without(workload: str) -> Prior:
    """Return what the energy model would assume had it never seen a workload; of the form that ships, to be fast."""
    others = [one for one in configurations() if one.workload != workload]
    return fit(others, forms=[(PRIOR.form, len(PRIOR.means[0]))])
