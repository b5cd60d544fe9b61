"""Figures from the operator's own metrics and from the kernel's view of its process."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

CYCLE_HISTOGRAM = "ballast_cycle_seconds"


def cycles(exposition: str) -> dict[float, float]:
    """Return how many cycles took at most so many seconds, by upper bound."""
    return {
        float(sample.labels["le"]): sample.value
        for family in text_string_to_metric_families(exposition)
        if family.name == CYCLE_HISTOGRAM
        for sample in family.samples
        if sample.name.endswith("_bucket")
    }


def quantile(quantile: float, before: Mapping[float, float], after: Mapping[float, float]) -> float:
    """Return the bound under which a share of the cycles between two scrapes stayed.

    Raises:
        ValueError: there was no cycle in between.
    """
    grown = {bound: count - before.get(bound, 0.0) for bound, count in after.items()}
    total = max(grown.values(), default=0.0)
    if total <= 0:
        raise ValueError("no control cycle ended between the two scrapes")
    return min(bound for bound, count in grown.items() if count >= quantile * total)


def jobs_in_phase(exposition: str, phase: str) -> int:
    """Return how many TrainingJobs the operator knows in a phase."""
    for family in text_string_to_metric_families(exposition):
        if family.name == "ballast_trainingjobs":
            for sample in family.samples:
                if sample.labels["phase"] == phase:
                    return int(sample.value)
    return 0


def requests(exposition: str) -> Counter[str]:
    """Return how many requests to the API server were answered, by verb, resource and status code."""
    counts: Counter[str] = Counter()
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if sample.name == "ballast_api_requests_total":
                labels = sample.labels
                counts[f"{labels['verb']} {labels['resource']} {labels['code']}"] += int(sample.value)
    return counts


def requests_per_job(exposition: str, jobs: int) -> str:
    """Return in words how many requests were made for each job, the most frequent first."""
    shares = [(name, count / jobs) for name, count in requests(exposition).most_common()]
    return ", ".join(f"{name} {share:.2f}" for name, share in shares if share >= 0.005)


def peak_rss_megabytes(pid: int) -> float:
    """Return the most memory that a process has held at once, in 10^6 bytes; Linux only."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError(f"process {pid} has no memory of its own")


def rss_megabytes(pid: int) -> float:
    """Return the memory that a process holds now, in 10^6 bytes; Linux only."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise OSError(f"process {pid} has no memory of its own")
