"""Jobs whose training is as fast as their simulated board lets it be, and says how far it is.

The board slows its container by the CPU quota (`tests/nvmlsim/load.py`): a step of the training is a fixed amount of
CPU time, so that steps a second follow the board's true curve, whatever else the machine computes. It stays on one CPU:
the kernel deals quotas out for each, and who moves on a busy machine gets more than its own.
"""

from __future__ import annotations

from typing import Any

from ballast.api.exporter import METRICS_PATH, METRICS_PORT
from tests.e2e.agent.jobs import gpu_job
from tests.e2e.manifests import TrainingJobManifest

CPUS = 0.1
"""Of each trainer: several run side by side."""
STEPS_PER_CPU_SECOND = 1000
TOTAL_STEPS = 360_000
"""An hour at full speed: long enough that looking for a better limit is worth it."""

#: More often than the cluster's Prometheus scrapes by itself: readings are short here.
SCRAPED_OFTEN = {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": str(METRICS_PORT),
    "prometheus.io/path": METRICS_PATH,
    "prometheus.io/interval": "1s",
}

#: Reports twice a second; ends at SIGTERM.
TRAIN = """
import json, os, signal, sys, time, urllib.request, zlib
cpus = sorted(os.sched_getaffinity(0))
os.sched_setaffinity(0, [cpus[zlib.crc32(os.environ["HOSTNAME"].encode()) % len(cpus)]])
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
end, reported = time.monotonic() + {seconds}, 0.0
while (now := time.monotonic()) < end:
    if now - reported >= 0.5:
        reported = now
        body = json.dumps(dict(step=int(time.process_time() * STEPS), totalSteps=TOTAL)).encode()
        try:
            urllib.request.urlopen(urllib.request.Request(os.environ["BALLAST_PROGRESS_URL"], body), timeout=5).close()
        except OSError:
            pass
    sum(range(1000))
""".replace("STEPS", str(STEPS_PER_CPU_SECOND)).replace("TOTAL", str(TOTAL_STEPS))


def training(
    name: str, node: str, key: str, *, watts: int | None = None, **operating_point: Any
) -> TrainingJobManifest:
    """Return a job of one pod that trains on one GPU for longer than any test lasts.

    Args:
        name: of the job.
        node: where it runs.
        key: its profile key.
        watts: the power limit of its fixed operating point; None for a point that is not fixed.
        operating_point: as in the API; nothing for mode Auto.
    """
    if watts is not None:
        operating_point = {"mode": "Fixed", "powerLimit": f"{watts}W"}
    energy = {"profileKey": key} | ({"operatingPoint": operating_point} if operating_point else {})
    cpus = f"{round(CPUS * 1000)}m"
    job = gpu_job(name, node, seconds=3600, program=TRAIN).requests(cpu=cpus).limits(cpu=cpus)
    return job.annotated(SCRAPED_OFTEN).spec(energy=energy)
