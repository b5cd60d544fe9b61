"""Jobs that compute on simulated GPUs and report their progress, and the ledger that they leave."""

from __future__ import annotations

from tests.e2e.agent.jobs import gpu_job
from tests.e2e.kube import JsonObject
from tests.e2e.manifests import TrainingJobManifest

CPUS = "100m"
"""A little: many of these run side by side."""

#: Keeps its share of the CPU busy, which is its board's load, and reports a step a second; ends at SIGTERM.
TRAIN = """
import json, os, signal, sys, time, urllib.request
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
end, step = time.monotonic() + {seconds}, 0
while (now := time.monotonic()) < end:
    step += 1
    body = json.dumps(dict(step=step, totalSteps={seconds})).encode()
    try:
        urllib.request.urlopen(urllib.request.Request(os.environ["BALLAST_PROGRESS_URL"], body), timeout=5).close()
    except OSError:
        pass
    while time.monotonic() < now + 1:
        sum(range(1000))
"""


def training(name: str, node: str, *, seconds: int = 600, program: str = TRAIN) -> TrainingJobManifest:
    """Return a job of one pod on a node, that holds a GPU, computes and reports.

    Args:
        name: of the job.
        node: where it runs.
        seconds: how long it computes.
        program: what it runs, with `seconds` in braces.
    """
    return gpu_job(name, node, seconds=seconds, program=program).requests(cpu=CPUS).limits(cpu=CPUS)


def ledger(job: JsonObject) -> list[JsonObject]:
    """Return what is in the ledger of each of a job's attempts; empty for one that has none yet."""
    return [attempt.get("energy", {}) for attempt in job["status"].get("attempts", ())]


def gpu_joules(job: JsonObject) -> float:
    """Return the ledger's joules of GPUs, all attempts together."""
    return sum(float(each.get("gpuJoules", 0)) for each in ledger(job))


def is_settled(job: JsonObject) -> bool:
    """Return whether each attempt that has ended is in the ledger, and no pod is kept for it any more."""
    ended = [each for each in job["status"].get("attempts", ()) if each.get("finishedAt")]
    return bool(ended) and all("energy" in each for each in ended) and not job["status"].get("settling")
