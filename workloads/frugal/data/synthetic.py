"""Random images, to measure speed where no data set is at hand: ``--data synthetic:3x32x32``.

Labels are as random as pixels, so there is nothing to learn. What must hold: nobody can take a result of it for one of
real data. It is chosen by this name only, never in the place of a set that is missing; `DataSplits.synthetic` marks it,
and with it the log, each progress report and the result.
"""

from __future__ import annotations

import logging
import re
from pathlib import Path

import torch

from frugal.data.examples import DataSplits, PixelScale, TensorExamples
from frugal.errors import ConfigError

log = logging.getLogger(__name__)

SEED = 20200523
SIZES = {"classes": 10, "examples": 4096}
HELD_OUT = 8  # one example for validation for as many to train


def load_random(text: str, data_dir: Path) -> DataSplits:
    """What ``text`` asks for: channels x height x width, then if wanted ``,classes=100`` and ``,examples=50000``.

    Raises:
        ConfigError: It is written otherwise.
    """
    shape_text, *settings = text.split(",")
    found = re.fullmatch(r"([1-9]\d*)x([1-9]\d*)x([1-9]\d*)", shape_text)
    sizes = dict(SIZES)
    for setting in settings:
        key, _, value = setting.partition("=")
        if key not in sizes or not re.fullmatch(r"[1-9]\d*", value):
            raise _refusal(text)
        sizes[key] = int(value)
    if found is None or sizes["examples"] < HELD_OUT:
        raise _refusal(text)
    channels, height, width = map(int, found.groups())
    log.warning("synthetic data: random images and labels, for throughput only; accuracy and loss mean nothing")
    generator = torch.Generator().manual_seed(SEED)

    def part(count: int) -> TensorExamples:
        return TensorExamples(
            torch.randn(count, channels, height, width, generator=generator),
            torch.randint(sizes["classes"], (count,), generator=generator),
        )

    return DataSplits(
        train=part(sizes["examples"]),
        validation=part(sizes["examples"] // HELD_OUT),
        test=None,
        shape=(channels, height, width),
        classes=sizes["classes"],
        pixels=PixelScale(mean=(127.5,) * channels, deviation=(63.75,) * channels, white=255.0),
        synthetic=True,
    )


def _refusal(text: str) -> ConfigError:
    return ConfigError(
        "data",
        f"synthetic:{text}",
        "write channels, height and width as synthetic:3x32x32, then, if wanted, ,classes=100 or ,examples=50000 "
        f"(at least {HELD_OUT})",
    )
