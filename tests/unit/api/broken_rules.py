"""All manifests and edits that a rule refuses.

Used twice: without a cluster on the models' predicates, and against a real API server on the CEL expressions.
"""

from __future__ import annotations

from tests.unit.api.broken_energy import BROKEN_EARLY_STOPPING, BROKEN_ENERGY
from tests.unit.api.broken_jobs import BROKEN_JOBS, FORBIDDEN_JOB_EDITS
from tests.unit.api.broken_others import (
    BROKEN_BUDGETS,
    BROKEN_NODES,
    BROKEN_POINTS,
    BROKEN_PROFILES,
    FORBIDDEN_PROFILE_EDITS,
)

BROKEN_RULES = (
    *BROKEN_JOBS,
    *BROKEN_ENERGY,
    *BROKEN_EARLY_STOPPING,
    *BROKEN_BUDGETS,
    *BROKEN_NODES,
    *BROKEN_POINTS,
    *BROKEN_PROFILES,
)
FORBIDDEN_EDITS = (*FORBIDDEN_JOB_EDITS, *FORBIDDEN_PROFILE_EDITS)
