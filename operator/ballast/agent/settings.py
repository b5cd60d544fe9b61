"""The agent's settings: environment variables with the prefix `BALLAST_AGENT_`, each with its unit in its name."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from ballast.settings import DNS_LABEL, own_namespace


class AgentSettings(BaseSettings):
    """Settings of `ballast agent`; all but the node's name can be left out."""

    model_config = SettingsConfigDict(env_prefix="BALLAST_AGENT_", frozen=True)

    node_name: str = Field(description="The node on which it runs; the chart sets it.", max_length=253)
    host_ip: IPv4Address | IPv6Address | None = Field(
        default=None,
        description="The node's address, at which pods ask for their readings; the chart sets it. Without it pods have"
        " to know the agent by its DNS name.",
    )
    namespace: str = Field(
        default_factory=own_namespace,
        pattern=DNS_LABEL,
        description="Ballast's namespace, where the operator's Lease is.",
    )
    lease_name: str = Field(default="ballast-operator", pattern=DNS_LABEL, description="Name of the operator's Lease.")
    operator_stale_seconds: float = Field(
        default=120.0,
        ge=5,
        description="After the operator's Lease was not renewed for so long, GPUs get back what was found, unless their"
        " NodePower says Hold.",
    )
    sample_hertz: float = Field(
        default=1.0,
        gt=0,
        le=10,
        description="Readings of each GPU a second; boards count joules about ten times a second.",
    )
    drift_seconds: float = Field(
        default=5.0, gt=0, description="How often it is checked whether somebody else changed what was set."
    )
    status_seconds: float = Field(
        default=1.0, gt=0, description="Shortest time between two writes of its NodePower's status."
    )
    state_folder: Path = Field(
        default=Path("/var/lib/ballast/agent"),
        description="Folder on the node's disk; what GPUs had before the first change is kept there.",
    )
    pod_resources_socket: Path = Field(
        default=Path("/var/lib/kubelet/pod-resources/kubelet.sock"),
        description="The kubelet's socket that tells who has which GPU.",
    )
    proc_root: Path = Field(default=Path("/proc"), description="The node's /proc.")
    cgroup_root: Path = Field(default=Path("/sys/fs/cgroup"), description="The node's control groups, version 1 or 2.")
    powercap_root: Path = Field(default=Path("/sys/class/powercap"), description="The node's RAPL counters.")
    https_host: str = Field(default="0.0.0.0", description="Address at which pods ask for their readings.")  # noqa: S104
    https_port: int = Field(
        default=9444, ge=0, le=65535, description="Port at which pods ask for their readings; 0 is off."
    )
    http_host: str = Field(default="0.0.0.0", description="Address of /healthz, /readyz and /metrics.")  # noqa: S104
    http_port: int = Field(default=9445, ge=0, le=65535, description="Port of /healthz, /readyz and /metrics.")
    requests_per_second: float = Field(default=10.0, gt=0, description="Sustained limit on requests to the API server.")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least level logged.")
    log_format: Literal["json", "text"] = Field(default="json", description="json for machines, text for people.")

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.https_port and self.https_port == self.http_port:
            raise ValueError(
                f"BALLAST_AGENT_HTTPS_PORT and BALLAST_AGENT_HTTP_PORT are both {self.http_port}: change one of them"
            )
        return self
