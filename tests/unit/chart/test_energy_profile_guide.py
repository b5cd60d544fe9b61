"""The guide to energy profiles names what there is, with the numbers that hold."""

from __future__ import annotations

import inspect
import re
from typing import Any

import yaml

from ballast.api.conditions import Reason
from ballast.api.energyprofile import EnergyProfile
from ballast.api.jobstatus import ChosenPoint
from ballast.decide.learning import learning
from ballast.decide.points import auto_point
from ballast.decide.points.wishes import Exploration
from ballast.observe.measurements import FREQUENT_READINGS, LONGEST_READING
from tests.cluster.helm import CHART
from tests.cluster.paths import CHECKOUT

GUIDE = (CHECKOUT / "docs" / "guide" / "energy-profile.md").read_text()
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
WORDS = {2: "two", 4: "four"}


def test_reasons_of_conditions_and_events() -> None:
    reasons = {reason.value for reason in Reason}
    assert set(re.findall(r"`(Point[A-Z]\w+)`", GUIDE)) <= reasons
    decides = inspect.getsource(learning) + inspect.getsource(auto_point)
    for name in ("FoundLimitMissing", "Contradicted", "ProfileRenewed", "OperatingPointChosen"):
        assert f"`{name}`" in GUIDE
        assert f'"{name}"' in decides


def test_columns_of_kubectl() -> None:
    [header] = re.findall(r"^NAME +KEY.*$", GUIDE, re.MULTILINE)
    assert header.split() == ["NAME", *(column.name.upper() for column in EnergyProfile.resource.columns)]


def test_fields_of_what_is_chosen() -> None:
    [shown] = re.findall(r'^\{"lostSeconds".*\}$', GUIDE, re.MULTILINE)
    assert ChosenPoint.model_validate_json(shown).power_limit_watts == 175


def test_numbers() -> None:
    assert f"`settings.readingSeconds` ({VALUES['settings']['readingSeconds']})" in GUIDE
    assert f"After {WORDS[FREQUENT_READINGS]} measurements at one point" in GUIDE
    minutes = LONGEST_READING * VALUES["settings"]["readingSeconds"] / 60
    assert f"up to {minutes:g} minutes" in GUIDE
    assert f"at most {100 * Exploration().time_share:g} % of the job's time" in GUIDE
    assert f"until {WORDS[Exploration().patience]}\n   limits in a row" in GUIDE
