"""One hypothesis profile for all properties: a slow machine is no counterexample.

People's runs explore; continuous integration repeats the same examples, so that it judges the change and not the dice.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

settings.register_profile(
    "ballast",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ballast")
