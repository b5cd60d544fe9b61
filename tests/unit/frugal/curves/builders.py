"""Small ranges to draw from, curves without a training, and a way to shorten what is drawn."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from frugal.curves.ranges import Draw, Ranges, parse
from frugal.curves.recording import COLUMNS, Curve

SMALL = """
seed = 7
[parameters]
data = {weights = {digits = 1}}
train_examples = {log_uniform = [40, 200], integer = true}
label_noise = {log_uniform = [0.02, 0.4], zero = 0.5}
model = {weights = {mlp = 1}}
width = {log_uniform = [8, 16], integer = true}
depth = {weights = {1 = 1}}
dropout = {log_uniform = [0.05, 0.5], zero = 0.4}
batch_size = {log_uniform = [8, 32], integer = true}
lr = {log_uniform = [0.001, 0.1]}
weight_decay = {log_uniform = [0.00001, 0.1], zero = 0.3}
optimizer = {weights = {adamw = 1, momentum = 1}}
schedule = {weights = {cosine = 1, constant = 1}}
technique = {weights = {none = 1, mixup = 1, augmentation = 1}}
steps = {log_uniform = [20, 30], integer = true}
evaluations = {log_uniform = [4, 6], integer = true}
[fixed]
cnn_share = 0.4
validation_examples = 100
"""


def small() -> Ranges:
    """Ranges whose draws are trained in a twentieth of a second."""
    return parse(SMALL)


def changed(draw: Draw, **values: str | float) -> Draw:
    """The draw with other parameters."""
    return dataclasses.replace(draw, values={**draw.values, **values})


def curve(index: int = 0, columns: Mapping[str, list[float]] | None = None, *, measured: bool = False) -> Curve:
    """A curve of four evaluations (or as many as the columns have) that nobody trained."""
    columns = columns or {}
    length = max((len(column) for column in columns.values()), default=4)
    made = {name: [float(n + 1) for n in range(length)] for name in COLUMNS}
    draw = small().draw(index)
    return Curve(draw=draw, measured=measured, joules_by="a model", columns={**made, **columns})
