"""An exporter that keeps what it is sent, and answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from ballast.progress_sender import Sender


class Exporter:
    """Stands in for the connection to the exporter.

    Args:
        metric: of the job.
        answers: statuses of the first answers, or what is raised; then 200.
    """

    def __init__(self, metric: str | None = None, *answers: int | Exception) -> None:
        self.metric = metric
        self.answers = list(answers)
        self.requests: list[tuple[str, list[dict[str, Any]]]] = []
        self.opened = threading.Event()
        self.opened.set()

    def __call__(self, body: bytes, key: str) -> tuple[int, bytes]:
        self.opened.wait(60)
        self.requests.append((key, json.loads(body, parse_constant=_refuse)))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer, json.dumps({"metric": self.metric}).encode()

    @property
    def reports(self) -> list[dict[str, Any]]:
        """All reports, without the CPU time."""
        return [
            {name: value for name, value in report.items() if name != "cpuSeconds"}
            for _, reports in self.requests
            for report in reports
        ]


def sender(exporter: Exporter, cpu_seconds: Callable[[], float] = lambda: 1.0) -> Sender:
    return Sender(exporter, cpu_seconds)


def _refuse(word: str) -> float:
    raise AssertionError(f"{word} is no JSON")
