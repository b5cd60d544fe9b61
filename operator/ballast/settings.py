"""The operator's settings: environment variables with the prefix `BALLAST_`, each with its unit in its name."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
NAMESPACE_OUTSIDE = "ballast-system"
QUANTITY = r"^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$"
MOST_WEIGHT = 1000.0
DNS_LABEL = r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"


def own_namespace() -> str:
    """Return the pod's namespace, or outside a cluster the one in which Ballast is installed by default."""
    try:
        return NAMESPACE_FILE.read_text().strip() or NAMESPACE_OUTSIDE
    except OSError:
        return NAMESPACE_OUTSIDE


class OperatorSettings(BaseSettings):
    """Settings of `ballast operator`; every one can be left out."""

    model_config = SettingsConfigDict(env_prefix="BALLAST_", frozen=True)

    http_host: str = Field(default="0.0.0.0", description="Address of /healthz, /readyz and /metrics.")  # noqa: S104
    http_port: int = Field(default=8080, ge=0, le=65535, description="Port of /healthz, /readyz and /metrics.")
    requests_per_second: float = Field(
        default=50.0, gt=0, description="Sustained limit on requests to the API server, events excluded."
    )
    events_per_second: float = Field(default=10.0, gt=0, description="Sustained limit on events.")
    debounce_seconds: float = Field(
        default=0.05, ge=0, description="How long a cycle waits after a change for others that come with it."
    )
    idle_seconds: float = Field(default=10.0, gt=0, description="Longest time between two cycles.")
    resync_seconds: float = Field(
        default=300.0, gt=0, description="How often everything is listed, to find what the watches missed."
    )
    stuck_seconds: float = Field(
        default=60.0, gt=0, description="Time without a finished cycle after which /healthz fails."
    )
    namespace: str = Field(
        default_factory=own_namespace, pattern=DNS_LABEL, description="The operator's namespace, where its Lease is."
    )
    lease_name: str = Field(
        default="ballast-operator",
        pattern=DNS_LABEL,
        description="Name of the Lease by which replicas choose a leader.",
    )
    lease_seconds: int = Field(
        default=15, ge=3, le=3600, description="How long a leader that says nothing is still believed to lead."
    )
    placement_timeout_seconds: float = Field(
        default=600.0, gt=0, description="How long a gang may take from its admission until all its pods run."
    )
    retry_seconds: float = Field(
        default=10.0, gt=0, description="Pause before the second attempt of a job; doubles with each further one."
    )
    retry_max_seconds: float = Field(default=600.0, gt=0, description="Longest pause between two attempts of a job.")
    node_lost_seconds: int = Field(
        default=60, ge=0, description="How long pods stay on a node that is not ready or not reachable."
    )
    aging_seconds: float = Field(
        default=3600.0, gt=0, description="Waiting this much longer outweighs one priority class."
    )
    deadline_head_start_seconds: float = Field(
        default=21_600.0, ge=0, description="The largest head start in the queue that a deadline gives, in seconds."
    )
    share_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="Jobs of a namespace that uses twice its fair share count as queued so much later; 0: no fair"
        " share.",
    )
    queue_weights: dict[str, float] = Field(
        default={},
        description='Weights of namespaces for their fair share, as JSON: {"team-a": 2}; 1 for each that is not named.',
    )
    patience_seconds: float = Field(
        default=600.0, gt=0, description="After waiting this long the first of the queue gets nodes held for it."
    )
    agents: bool = Field(
        default=True, description="Whether nodes have agents: each node gets a NodePower by which its agent is told."
    )
    agent_port: int = Field(
        default=9444, ge=1, le=65535, description="Port of each node on which its agent tells pods their readings."
    )
    free_gpus: Literal["Leave", "Park"] = Field(
        default="Leave",
        description="What agents do with GPUs that no pod holds: Leave, or Park them at their lowest clocks.",
    )
    empty_nodes_mark: bool = Field(
        default=True, description="Whether nodes whose GPUs nothing asks for get the label ballast.dev/empty."
    )
    empty_node_seconds: float = Field(
        default=60.0, ge=0, le=86400, description="How long a node has been empty when it gets that label."
    )
    empty_nodes_removed: bool = Field(
        default=False,
        description="Whether somebody removes nodes with that label, or switches them off: then a node that is woken"
        " for a job counts with its idle power.",
    )
    exporter_image: str = Field(
        default="",
        description="Image of the sidecar that each training pod gets, which tells its power, energy and progress;"
        " empty: none, and nothing is measured of pods.",
    )
    exporter_pull_policy: Literal["Always", "IfNotPresent", "Never"] = Field(
        default="IfNotPresent", description="When that image is pulled."
    )
    exporter_cpu: str = Field(default="50m", pattern=QUANTITY, description="CPU that the sidecar asks for, and gets.")
    exporter_memory: str = Field(default="64Mi", pattern=QUANTITY, description="Memory likewise.")
    exporter_poll_seconds: float = Field(
        default=10.0, ge=0.2, le=60, description="How often the sidecar asks its node's agent."
    )
    exporter_annotations: bool = Field(
        default=True, description="Whether training pods carry prometheus.io/scrape: not needed with a PodMonitor."
    )
    prometheus_url: str = Field(
        default="",
        pattern=r"^(https?://[^\s]+)?$",
        description="Address of a server with Prometheus' HTTP API, also with a path; empty: there is none.",
    )
    prometheus_token_file: Path | None = Field(
        default=None, description="File with a bearer token for it, read anew as it changes."
    )
    prometheus_ca_file: Path | None = Field(default=None, description="Authorities to trust for it, as PEM.")
    prometheus_headers: dict[str, str] = Field(
        default={}, description='Headers for it, as JSON: {"X-Scope-OrgID": "team"}.'
    )
    prometheus_labels: dict[str, str] = Field(
        default={},
        description='Labels that every series asked for must have, as JSON: {"cluster": "a"}; where one server has'
        " several clusters.",
    )
    telemetry_seconds: float = Field(default=15.0, ge=1, le=300, description="How often Prometheus is asked.")
    telemetry_stale_seconds: float = Field(
        default=60.0, gt=0, description="Figures that are older are not fresh: nothing is decided on them."
    )
    lost_reading_seconds: float = Field(
        default=60.0,
        gt=0,
        description="How long the last reading of a pod that went without a word is waited for.",
    )
    reading_seconds: float = Field(
        default=30.0,
        ge=1,
        le=3600,
        description="How long a job stays at an operating point until a measurement of it is complete, at least.",
    )
    webhook_host: str = Field(default="0.0.0.0", description="Address of the admission webhook.")  # noqa: S104
    webhook_port: int = Field(default=9443, ge=0, le=65535, description="Port of the admission webhook; 0 is off.")
    certificate_days: int = Field(default=90, ge=1, description="Validity of the webhook's certificate, in days.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least level logged.")
    log_format: Literal["json", "text"] = Field(default="json", description="json for machines, text for people.")

    @field_validator("queue_weights")
    @classmethod
    def _weights(cls, weights: dict[str, float]) -> dict[str, float]:
        for namespace, weight in weights.items():
            if not re.fullmatch(DNS_LABEL, namespace):
                raise ValueError(
                    f"{namespace!r} is not the name of a namespace: write small letters, digits and '-' (kubectl get "
                    "namespaces lists them)"
                )
            if not 0 < weight <= MOST_WEIGHT:  # false of NaN, too
                raise ValueError(
                    f"the weight of {namespace} is {weight:g}: give one above 0 and at most {MOST_WEIGHT:g}, or leave "
                    f"{namespace} out for a weight of 1"
                )
        return weights

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.retry_max_seconds < self.retry_seconds:
            raise ValueError(
                f"BALLAST_RETRY_MAX_SECONDS ({self.retry_max_seconds:g}) is less than BALLAST_RETRY_SECONDS "
                f"({self.retry_seconds:g}): the longest pause cannot be shorter than the first; raise the former"
            )
        if self.webhook_port and self.webhook_port == self.http_port:
            raise ValueError(
                f"BALLAST_WEBHOOK_PORT and BALLAST_HTTP_PORT are both {self.http_port}: change one of them, or set "
                "BALLAST_WEBHOOK_PORT=0 to do without the webhook"
            )
        return self
