"""The operator's settings: environment variables with the prefix `BALLAST_`, each with its unit in its name."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


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
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(default="INFO", description="Least level logged.")
    log_format: Literal["json", "text"] = Field(default="json", description="json for machines, text for people.")
