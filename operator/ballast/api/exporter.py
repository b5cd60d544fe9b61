"""What the operator, the exporter in each training pod, the trainer beside it and Prometheus agree on.

The exporter is a native sidecar. It asks its node's agent what the pod uses, takes the trainer's progress on localhost,
and tells both to Prometheus. Its image holds no pydantic: what it imports of `api` is this, `agentserving`,
`finalreading` and `source`, which need the standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

CONTAINER: Final = "ballast-exporter"
"""The sidecar's name."""

STATE_VOLUME: Final = "ballast-exporter"
AGENT_VOLUME: Final = "ballast-exporter-agent"
PROGRESS_VOLUME: Final = "ballast-progress"
VOLUMES: Final = frozenset({STATE_VOLUME, AGENT_VOLUME, PROGRESS_VOLUME})
"""Volumes that come with it; no template may have others of these names."""

METRICS_PORT: Final = 9446
METRICS_PORT_NAME: Final = "ballast-metrics"
METRICS_PATH: Final = "/metrics"
"""Where Prometheus finds the metrics, on the pod's address."""

SCRAPE_ANNOTATIONS: Final = {
    "prometheus.io/scrape": "true",
    "prometheus.io/port": str(METRICS_PORT),
    "prometheus.io/path": METRICS_PATH,
}
"""On training pods, where there are no PodMonitors."""

PROGRESS_PORT: Final = 9447
"""On localhost only: the trainer's progress."""
PROGRESS_PATH: Final = "/v1/progress"
"""POST: a JSON object, see docs/guide/readings.md."""
KUBEFLOW_PATH: Final = "/v1/kubeflow"
"""POST: Kubeflow Trainer's `{"trainerStatus": ...}`."""

PROGRESS_URL_VARIABLE: Final = "BALLAST_PROGRESS_URL"
"""Environment variable of the trainer: where it may report."""
KUBEFLOW_URL_VARIABLE: Final = "KUBEFLOW_TRAINER_SERVER_URL"
KUBEFLOW_TOKEN_VARIABLE: Final = "KUBEFLOW_TRAINER_SERVER_TOKEN"  # noqa: S105 - a name
"""What makes Hugging Face transformers report by itself; the token is any file that is not empty."""
PROGRESS_MOUNT_PATH: Final = "/var/run/ballast.dev/progress"
PROGRESS_TOKEN_FILE: Final = "token"  # noqa: S105 - a name
"""Of the trainer: that file; it says nothing secret (the pod's UID)."""

STATE_PATH: Final = "/var/lib/ballast"
"""The exporter's emptyDir: what survives its own restart."""
TERMINATION_LOG: Final = "/dev/termination-log"

JOB_NAME_VARIABLE: Final = "BALLAST_JOB_NAME"
JOB_UID_VARIABLE: Final = "BALLAST_JOB_UID"
ATTEMPT_VARIABLE: Final = "BALLAST_ATTEMPT"
POD_UID_VARIABLE: Final = "BALLAST_POD_UID"
METRIC_VARIABLE: Final = "BALLAST_METRIC"
TRAINING_METRIC_VARIABLE: Final = "BALLAST_TRAINING_METRIC"
GOAL_VARIABLE: Final = "BALLAST_GOAL"
"""`earlyStopping.metric`, `.trainingMetric` and `.goal` of the job, where it has them."""
TRAINER_MILLICORES_VARIABLE: Final = "BALLAST_TRAINER_MILLICORES"
"""What the trainer asks for of the CPU, in thousandths of a core; for an estimate where nothing is measured."""
POLL_SECONDS_VARIABLE: Final = "BALLAST_POLL_SECONDS"
METRICS_PORT_VARIABLE: Final = "BALLAST_METRICS_PORT"
PROGRESS_PORT_VARIABLE: Final = "BALLAST_PROGRESS_PORT"
"""Environment variables of the exporter, beside those of `agentserving`."""

# -- metrics: each carries these labels, so that no scrape configuration has to add any

LABELS: Final = ("trainingjob", "job_uid", "attempt", "pod_uid")

POWER: Final = "ballast_pod_power_watts"
"""Gauge by `component`."""
ENERGY: Final = "ballast_pod_energy_joules_total"
"""Counter by `component` and `share` (active, idle)."""
READ_AT: Final = "ballast_pod_readings_timestamp_seconds"
"""Gauge: when the meter behind the figures looked last, seconds since the epoch; absent before the first time."""
SOURCE: Final = "ballast_pod_readings_source"
"""Gauge, 1, by `component` and `source` (`source.Source`)."""
GPU_POWER: Final = "ballast_pod_gpu_power_watts"
GPU_ENERGY: Final = "ballast_pod_gpu_energy_joules_total"
GPU_POWER_LIMIT: Final = "ballast_pod_gpu_power_limit_watts"
"""By `uuid`, for each of the pod's GPUs."""

STEP: Final = "ballast_training_step"
TOTAL_STEPS: Final = "ballast_training_total_steps"
EPOCH: Final = "ballast_training_epoch"
PERCENT: Final = "ballast_training_done_percent"
STEPS_PER_SECOND: Final = "ballast_training_steps_per_second"
SAMPLES_PER_SECOND: Final = "ballast_training_samples_per_second"
SAMPLES: Final = "ballast_training_samples_total"
JOULES_PER_STEP: Final = "ballast_training_joules_per_step"
SECONDS_LEFT: Final = "ballast_training_estimated_seconds_left"
REPORTED_AT: Final = "ballast_training_reported_timestamp_seconds"
"""Gauges (but for SAMPLES), each absent until the trainer has told it."""
METRIC: Final = "ballast_training_metric"
"""Gauge by `metric`: the newest value of each metric that the trainer reports, at most `MAX_METRICS` of them."""
MAX_METRICS: Final = 8
BEST: Final = "ballast_training_best"
"""Gauge: the best value so far of the metric that early stopping goes by."""
EVALUATIONS: Final = "ballast_training_evaluations_total"
"""Counter: how often that metric was reported."""
EVALUATION_VALUE: Final = "ballast_training_evaluation_value"
EVALUATION_STEP: Final = "ballast_training_evaluation_step"
EVALUATION_TRAINING_VALUE: Final = "ballast_training_evaluation_training_value"
"""Gauges by `slot`, 0 to `RING` - 1: evaluation number n (from 1) stands in slot n % RING until number n + RING comes;
the last only where the job names a `trainingMetric`. With EVALUATIONS they tell what is known, and what is missing."""
RING: Final = 4


def is_carried_by(pod_spec: Mapping[str, Any]) -> bool:
    """Return whether pods like this get an exporter.

    One on its node's own network does not: its ports would meet those of the next such pod there, and anybody on the
    node could report its progress. Nothing is known of it then, and no finalizer holds it.
    """
    return not pod_spec.get("hostNetwork")
