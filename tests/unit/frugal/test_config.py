"""A configuration is valid or does not exist."""

from __future__ import annotations

import pytest

from frugal.config import TrainConfig
from frugal.errors import ConfigError


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epochs", 0),
        ("batch_size", 0),
        ("report_every", 0),
        ("seed", -1),
        ("checkpoint_every", -1),
        ("threads", -1),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("weight_decay", -0.1),
        ("device", "tpu"),
    ],
)
def test_error_names_field_value_and_remedy(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=f"{field}={value!r}: use ") as caught:
        TrainConfig(**{field: value})  # type: ignore[arg-type]
    assert caught.value.field == field


def test_identity_leaves_out_what_does_not_change_the_weights() -> None:
    assert TrainConfig(report_every=1, checkpoint_every=1, device="cpu").identity == TrainConfig().identity
    assert TrainConfig(seed=1).identity != TrainConfig().identity
