"""A node as a cycle sees it: what it is, what is left of it, and when more of it becomes free.

Frozen values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ballast.decide.gpu_models import GpuModel
from ballast.decide.model.prediction import GpuRange
from ballast.decide.resources import Resources
from ballast.decide.vacancies import NO_MARK, Mark


@dataclass(frozen=True, slots=True)
class Taint:
    """A node's taint; only NoSchedule and NoExecute keep pods away."""

    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Release:
    """GPUs of a node that become free, as far as anybody can tell.

    Attributes:
        at: seconds since the epoch.
        gpus: how many.
    """

    at: float
    gpus: int


@dataclass(frozen=True, slots=True)
class Node:
    """A node with what is left of it after every pod and every reservation.

    Attributes:
        free: allocatable less the requests of *every* pod bound to the node, Ballast's or not, less what is
            reserved for gangs that are being placed.
        mixes_gpus: its GPUs are of several models.
        board: limits and idle power of one of its GPUs, as its agent tells; None while it does not.
        mark: what it says of being empty; the label for that is not among `labels`.
    """

    name: str
    ready: bool
    cordoned: bool
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    gpu_model: GpuModel | None
    allocatable: Resources
    free: Resources
    mixes_gpus: bool = False
    board: GpuRange | None = None
    uid: str = ""
    mark: Mark = NO_MARK
