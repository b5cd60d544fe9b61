"""PriorityClasses of a test's own: they belong to the whole cluster, and go with the test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.e2e.kube import Kube

PATH = "/apis/scheduling.k8s.io/v1/priorityclasses"


@contextmanager
def priority_class(kube: Kube, name: str, value: int, *, preempts: bool = False) -> Iterator[str]:
    """Make a class for as long as the test needs it; yield its name."""
    policy = "PreemptLowerPriority" if preempts else "Never"
    kube.delete(f"{PATH}/{name}")
    kube.create(PATH, {"metadata": {"name": name}, "value": value, "preemptionPolicy": policy})
    try:
        yield name
    finally:
        kube.delete(f"{PATH}/{name}")
