"""Amounts of Kubernetes resources, as integers, so that sums and comparisons are exact.

CPU is counted in millicores and everything else in its own unit (bytes, devices, pods). A `Resources`
is never changed once made: arithmetic returns a new mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

Resources: TypeAlias = Mapping[str, int]

GPU = "nvidia.com/gpu"
CPU = "cpu"
PODS = "pods"


def add(left: Resources, right: Resources) -> dict[str, int]:
    """Return the sum of two amounts."""
    total = dict(left)
    for name, amount in right.items():
        total[name] = total.get(name, 0) + amount
    return total


def subtract(left: Resources, right: Resources) -> dict[str, int]:
    """Return `left - right`; an amount may become negative where a node is overcommitted."""
    rest = dict(left)
    for name, amount in right.items():
        rest[name] = rest.get(name, 0) - amount
    return rest


def copies_that_fit(request: Resources, free: Resources) -> int:
    """Return how many pods with this request fit into what is free (0 or more).

    A resource that is not requested does not limit: an overcommitted node still takes a pod that asks for
    nothing of what it lacks, as kube-scheduler's NodeResourcesFit does.
    """
    fewest: int | None = None
    for name, amount in request.items():  # a plain loop: a cycle asks this of each node and each size of pods
        if amount > 0:
            copies = free.get(name, 0) // amount
            if copies <= 0:
                return 0
            fewest = copies if fewest is None else min(copies, fewest)
    return fewest or 0


def shortage(request: Resources, free: Resources) -> str | None:
    """Return the name of the first resource of which too little is free, or None if the request fits."""
    for name, amount in request.items():
        if amount > 0 and free.get(name, 0) < amount:
            return name
    return None


def amount_of(resource: str, amount: int) -> str:
    """Return an amount in words, with its unit."""
    if resource == CPU:
        return f"{amount / 1000:g} CPU"
    if resource == GPU:
        return f"{amount} GPU" + "s" * (amount != 1)
    if resource == "memory":
        gib = amount / 2**30
        return f"{gib:.0f} GiB memory" if gib >= 100 else f"{gib:.3g} GiB memory"
    return f"{amount} {resource}"
