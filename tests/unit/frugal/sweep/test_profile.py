"""The EnergyProfile: Ballast's own types take it, and it says no more than was measured."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import yaml

from ballast.api.energyprofile import EnergyProfile
from frugal.errors import ConfigError
from frugal.sweep.points import OperatingPoint
from frugal.sweep.profile import to_yaml
from frugal.sweep.result import SweepResult
from frugal.sweep.sweeping import Measurement
from tests.unit.frugal.sweep.builders import measured, result


def parsed(text: str) -> EnergyProfile:
    manifest = yaml.safe_load(text)
    manifest["metadata"]["namespace"] = "ballast-system"
    return EnergyProfile.parse(manifest)


def two_rounds(*, simulated: bool = False) -> SweepResult:
    return result(
        measured(300, 0, 10.0, 2500.0), measured(150.5, 0, 12.5, 1500.0),
        measured(300, 1, 8.0, 2000.0), measured(150.5, 1, 12.5, 1500.0), simulated=simulated,
    )  # fmt: skip


def test_ballast_reads_what_was_measured() -> None:
    profile = parsed(to_yaml(two_rounds(), "digits-cnn-bs256"))
    assert (profile.spec.profile_key, profile.spec.gpu_model) == ("digits-cnn-bs256", "NVIDIA-A40")
    base, low = profile.spec.points
    assert (low.gpus, low.power_limit_watts, low.max_clock_hertz) == (1, 150.5, 1_740_000_000)
    assert (base.steps_per_second, base.steps_per_second_deviation) == pytest.approx((11.25, 12.5 / 10 * 2**0.5))
    assert (low.watts_per_gpu, low.watts_per_gpu_deviation) == pytest.approx((120.0, 0.0))
    assert (low.samples, low.measured_seconds) == (2, 25.0)
    assert low.measured_at == datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_a_locked_clock_is_told_in_hertz_and_one_sample_has_no_deviation() -> None:
    locked = OperatingPoint(power_limit_watts=300, max_clock_mhz=990)
    found = result(measured(300, 0, 10.0, 2500.0), Measurement(point=locked, round=0, steps=100, seconds=12, joules=9))
    point = parsed(to_yaml(found, "a")).spec.points[1]
    assert point.max_clock_hertz == 990_000_000
    assert point.steps_per_second_deviation is None


def test_a_simulated_board_is_no_model_that_a_scheduler_knows() -> None:
    profile = parsed(text := to_yaml(two_rounds(simulated=True), "digits"))
    assert profile.spec.gpu_model == "NVIDIA-A40-simulated"
    assert text.startswith("# SIMULATED")
    assert yaml.safe_load(text)["metadata"]["labels"] == {"frugal.ballast.dev/simulated": "true"}
    assert "simulated" not in parsed(to_yaml(two_rounds(), "digits")).spec.gpu_model


def test_its_name_is_one_that_kubernetes_takes() -> None:
    assert (
        yaml.safe_load(to_yaml(two_rounds(), "Digits_CNN.bs256"))["metadata"]["name"] == "digits-cnn-bs256-nvidia-a40"
    )


@pytest.mark.parametrize("key", ["", "-a", "a b", "a" * 64, "ä"])
def test_a_key_that_ballast_would_refuse_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match="use up to 63"):
        to_yaml(two_rounds(), key)
