"""What ``--model`` and ``--data`` can name, and where it is made: one list for the command line, Python and the tests.

Plain strings, so that ``frugal --help`` knows every name while torch, torchvision and scikit-learn stay unloaded.
"""

from __future__ import annotations

import importlib
from typing import Any

MODELS = {
    "mlp": "frugal.models.plain:mlp",
    "cnn": "frugal.models.plain:cnn",
    "mlp-wide": "frugal.models.plain:mlp_wide",
    "squeezenet": "frugal.models.published:squeezenet",
    "mobilenet-v2": "frugal.models.published:mobilenet_v2",
    "mobilenet-v2-035": "frugal.models.published:mobilenet_v2_035",
    "mobilenet-v3-small": "frugal.models.published:mobilenet_v3_small",
    "efficientnet-b0": "frugal.models.published:efficientnet_b0",
    "vit": "frugal.models.transformer:vit",
}
"""Models by name: functions of an input's shape and the number of classes."""

DATASETS = {
    "digits": "frugal.data.bundled:load_digits",
    "fashion-mnist": "frugal.data.installed:load_fashion_mnist",
    "breast-cancer": "frugal.data.bundled:load_breast_cancer",
    "wine": "frugal.data.bundled:load_wine",
    "mnist": "frugal.data.installed:load_mnist",
    "cifar10": "frugal.data.installed:load_cifar10",
    "cifar100": "frugal.data.installed:load_cifar100",
}
"""Data sets by name: functions of the folder of installed sets."""

DATA_FAMILIES = {
    "huggingface": ("huggingface:FOLDER", "frugal.data.hugging_face:load_saved"),
    "synthetic": ("synthetic:CxHxW", "frugal.data.synthetic:load_random"),
}
"""Data sets of which a name says more after a colon: how it is written, and a function of that and of the folder."""


def data_names() -> list[str]:
    """Everything that ``--data`` takes, as users write it."""
    return [*DATASETS, *(written for written, _ in DATA_FAMILIES.values())]


def resolve(reference: str) -> Any:
    """The function that ``package.module:function`` means."""
    module, _, function = reference.partition(":")
    return getattr(importlib.import_module(module), function)
