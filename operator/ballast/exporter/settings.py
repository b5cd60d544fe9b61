"""The exporter's settings: environment variables with the prefix `BALLAST_`, each with its unit in its name.

The operator sets them in each pod (`act.exporter_sidecar`). What must hold: every one can be left out, so that the
exporter runs on a workstation too; one that makes no sense ends the process with what to change. No pydantic here: it
would take more memory than all the rest.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import Field, dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final, Literal

from ballast.api import exporter
from ballast.api.agentserving import HOST_VARIABLE, MOUNT_PATH, NODE_VARIABLE, PORT_VARIABLE
from ballast.errors import UserError

AGENT_PORT: Final = 9444
"""Of agents, as the chart installs them."""
GOALS: Final = ("Minimize", "Maximize")
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")
FORMATS: Final = ("json", "text")

AGENT_FILES_VARIABLE: Final = "BALLAST_AGENT_FILES"
STATE_PATH_VARIABLE: Final = "BALLAST_STATE_PATH"
TERMINATION_LOG_VARIABLE: Final = "BALLAST_TERMINATION_LOG"
LOG_LEVEL_VARIABLE: Final = "BALLAST_LOG_LEVEL"
LOG_FORMAT_VARIABLE: Final = "BALLAST_LOG_FORMAT"


class BadSetting(UserError):
    """An environment variable makes no sense."""


def _number(least: float, most: float) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not least <= value <= most:
            raise BadSetting(f"is no number from {least:g} to {most:g}")
        return value

    return read


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not re.fullmatch("[0-9]{1,12}", text) or not least <= int(text) <= most:
            raise BadSetting(f"is no whole number from {least} to {most}")
        return int(text)

    return read


def _one_of(*choices: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in choices:
            raise BadSetting(f"is none of {', '.join(choices)}")
        return text

    return read


def _address(text: str) -> str:
    try:
        return str(ip_address(text.strip("[]")))
    except ValueError:
        raise BadSetting("is no IP address: set it to the node's, status.hostIP of the pod") from None


def _setting(variable: str, default: Any, description: str, read: Callable[[str], Any] = str) -> Any:
    return field(default=default, metadata={"variable": variable, "description": description, "read": read})


@dataclass(frozen=True, slots=True)
class ExporterSettings:
    """Settings of `ballast exporter`; every one can be left out."""

    job_name: str = _setting(exporter.JOB_NAME_VARIABLE, "", "Name of the TrainingJob; a label of all metrics.")
    job_uid: str = _setting(exporter.JOB_UID_VARIABLE, "", "UID of the TrainingJob; a label of all metrics.")
    attempt: int = _setting(
        exporter.ATTEMPT_VARIABLE, 1, "Number of the attempt; a label of all metrics.", _whole(0, 1_000_000)
    )
    pod_uid: str = _setting(
        exporter.POD_UID_VARIABLE, "", "UID of the pod; a label of all metrics. Another pod's state is not taken over."
    )
    metric: str = _setting(
        exporter.METRIC_VARIABLE, "", "The metric that early stopping goes by; empty: none, and no evaluations."
    )
    training_metric: str = _setting(
        exporter.TRAINING_METRIC_VARIABLE, "", "The same on the training data; empty: early stopping needs none."
    )
    goal: str = _setting(
        exporter.GOAL_VARIABLE, GOALS[0], "Which way that metric gets better: Minimize or Maximize.", _one_of(*GOALS)
    )
    agent_host: str = _setting(
        HOST_VARIABLE, "", "Address of the node, where its agent is asked; empty: there is no agent.", _address
    )
    agent_port: int = _setting(PORT_VARIABLE, AGENT_PORT, "The agent's port there.", _whole(1, 65535))
    node: str = _setting(NODE_VARIABLE, "", "Name of the node, for which the agent's certificate must be.")
    agent_files: Path = _setting(  # noqa: RUF009 - it is a field
        AGENT_FILES_VARIABLE, Path(MOUNT_PATH), "Folder with the token for the agent, and whom to trust.", Path
    )
    poll_seconds: float = _setting(
        exporter.POLL_SECONDS_VARIABLE, 10.0, "How often the agent is asked.", _number(0.2, 60)
    )
    trainer_millicores: float = _setting(
        exporter.TRAINER_MILLICORES_VARIABLE,
        0.0,
        "What the trainer asks for of the CPU, in thousandths of a core, for an estimate where there is no agent;"
        " 0: not known.",
        _number(0, 100_000_000),
    )
    metrics_port: int = _setting(
        exporter.METRICS_PORT_VARIABLE,
        exporter.METRICS_PORT,
        "Port of /metrics and /healthz, on all addresses; 0: any that is free.",
        _whole(0, 65535),
    )
    progress_port: int = _setting(
        exporter.PROGRESS_PORT_VARIABLE,
        exporter.PROGRESS_PORT,
        "Port at which the trainer reports, on localhost; 0: any that is free.",
        _whole(0, 65535),
    )
    state_path: Path = _setting(  # noqa: RUF009 - likewise
        STATE_PATH_VARIABLE, Path(exporter.STATE_PATH), "Folder of what survives a restart of the exporter.", Path
    )
    termination_log: Path = _setting(  # noqa: RUF009 - likewise
        TERMINATION_LOG_VARIABLE,
        Path(exporter.TERMINATION_LOG),
        "File for the last words, which the kubelet keeps; written only if it is there.",
        Path,
    )
    log_level: str = _setting(LOG_LEVEL_VARIABLE, "INFO", "Least level logged.", _one_of(*LEVELS))
    log_format: Literal["json", "text"] = _setting(
        LOG_FORMAT_VARIABLE, "json", "json for machines, text for people.", _one_of(*FORMATS)
    )

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> ExporterSettings:
        """Return the settings that environment variables give; an empty variable is one that is not set.

        Raises:
            BadSetting: one of them makes no sense, or several do together.
        """
        given: dict[str, Any] = {}
        for each in fields(cls):
            text = environ.get(each.metadata["variable"], "").strip()
            if text:
                given[each.name] = _read(each, text)
        settings = cls(**given)
        settings._check()
        return settings

    def _check(self) -> None:
        if self.agent_host and not self.node:
            raise BadSetting(
                f"{NODE_VARIABLE} is not set, but {HOST_VARIABLE} is {self.agent_host!r}: set it to spec.nodeName of"
                " the pod, or else the agent cannot be told from others"
            )
        if self.metrics_port and self.metrics_port == self.progress_port:
            raise BadSetting(
                f"{exporter.METRICS_PORT_VARIABLE} and {exporter.PROGRESS_PORT_VARIABLE} are both {self.metrics_port}:"
                " change one of them"
            )


def described() -> Iterator[tuple[str, str, str]]:
    """Yield the variable, the default and the meaning of each setting."""
    for each in fields(ExporterSettings):
        default = each.default if each.default != "" else "(none)"
        yield each.metadata["variable"], str(default), each.metadata["description"]


def _read(setting: Field[Any], text: str) -> Any:
    try:
        return setting.metadata["read"](text)
    except BadSetting as error:
        variable, description = setting.metadata["variable"], setting.metadata["description"]
        raise BadSetting(f"{variable}: {text!r} {error} ({description})") from None
