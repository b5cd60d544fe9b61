"""A pod's exporter as a test sees it: its metrics as Prometheus gets them, and its process as a crash finds it."""

from __future__ import annotations

import os
import signal
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from ballast.api.exporter import CONTAINER, METRICS_PATH, METRICS_PORT, POD_UID_VARIABLE
from tests.e2e.kube import JsonObject

TIMEOUT_SECONDS = 30.0


def metrics(pod: JsonObject) -> Mapping[str, Metric]:
    """Return what a pod's exporter tells now, by the metrics' names."""
    url = f"http://{pod['status']['podIP']}:{METRICS_PORT}{METRICS_PATH}"
    with urllib.request.urlopen(url, timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {family.name: family for family in families}


def sum_of(name: str, pod: JsonObject) -> float:
    """Return the sum of all series of a metric that a pod's exporter tells."""
    return sum(sample.value for family in metrics(pod).values() for sample in family.samples if sample.name == name)


def wait_for_sum_of(name: str, pod: JsonObject) -> float:
    """Wait until a pod's exporter, which has just begun, tells a metric; return the sum of its series."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        try:
            if found := sum_of(name, pod):
                return found
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.2)
    raise AssertionError(f"{pod['metadata']['name']} tells no {name} within {TIMEOUT_SECONDS:.0f} s")


def kill(pod: JsonObject) -> None:
    """End a pod's exporter as a crash would; the kubelet starts it again."""
    os.kill(_process(pod["metadata"]["uid"]), signal.SIGKILL)


def restarts(pod: JsonObject) -> int:
    """Return how often a pod's exporter was started again."""
    return sum(
        int(each["restartCount"])
        for each in pod["status"].get("initContainerStatuses", ())
        if each["name"] == CONTAINER
    )


def _process(pod_uid: str) -> int:
    """Return the host's number of the first process of a pod's exporter: no two pods have the same UID."""
    wanted = f"{POD_UID_VARIABLE}={pod_uid}".encode()
    for folder in sorted(Path("/proc").iterdir()):
        if not folder.name.isdigit():
            continue
        try:
            if wanted in (folder / "environ").read_bytes().split(b"\0") and b"exporter" in (
                folder / "cmdline"
            ).read_bytes().split(b"\0"):
                return int(folder.name)
        except OSError:
            continue
    raise AssertionError(f"no exporter of the pod {pod_uid} runs")
