"""The figures that ship are what fitting gives."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from ballast.decide.model.prior import PRIOR
from ballast.simulate.fitting.prior_fit import fit
from tests.unit.simulate.zeus import configurations, needs_zeus


@needs_zeus
def test_the_prior_that_ships_is_a_refit() -> None:
    refit = fit(configurations()[::-1], PRIOR.source)
    for field in fields(PRIOR):
        shipped, found = getattr(PRIOR, field.name), getattr(refit, field.name)
        if isinstance(shipped, float) or field.name in ("means", "covariance", "draws"):
            # Six digits are written down; how a machine adds up may show in the last ones.
            assert np.array(found) == pytest.approx(np.array(shipped), rel=1e-3, abs=1e-5), field.name
        else:
            assert found == shipped, field.name
