"""The process as a pod runs it: against an agent over TLS, killed, started anew, and asked to end."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ballast.api import agentserving, exporter
from ballast.api.finalreading import FinalReading, parse
from ballast.api.source import Component
from tests.cluster.paths import CHECKOUT
from tests.unit.exporter.tls_agent import NODE, POD_UID, Authority, TlsAgent, grant, readings, running, share

PATIENCE_SECONDS = 30.0


class Pod:
    """A pod's folders, and the exporter in it."""

    def __init__(self, folder: Path, agent: TlsAgent | None = None) -> None:
        self.folder = folder
        self.log = folder / "termination-log"
        self.log.touch()
        (folder / "state").mkdir()
        self.agent = agent
        self.ports: dict[str, int] = {}
        self.process: subprocess.Popen[str] | None = None

    def variables(self) -> dict[str, str]:
        set_by_operator = {
            exporter.JOB_NAME_VARIABLE: "sweep",
            exporter.POD_UID_VARIABLE: POD_UID,
            exporter.METRIC_VARIABLE: "eval_loss",
            exporter.TRAINER_MILLICORES_VARIABLE: "1000",
            exporter.POLL_SECONDS_VARIABLE: "0.2",
            exporter.METRICS_PORT_VARIABLE: "0",
            exporter.PROGRESS_PORT_VARIABLE: "0",
            "BALLAST_STATE_PATH": str(self.folder / "state"),
            "BALLAST_TERMINATION_LOG": str(self.log),
        }
        if self.agent is not None:
            set_by_operator |= {
                agentserving.HOST_VARIABLE: "127.0.0.1",
                agentserving.PORT_VARIABLE: str(self.agent.port),
                agentserving.NODE_VARIABLE: NODE,
                "BALLAST_AGENT_FILES": str(self.folder / "agent"),
            }
        return {**set_by_operator, "PATH": os.environ["PATH"], "PYTHONPATH": str(CHECKOUT / "operator")}

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ballast", "exporter"], env=self.variables(), stderr=subprocess.PIPE, text=True
        )
        assert self.process.stderr is not None
        said = json.loads(self.process.stderr.readline())
        self.ports = {"metrics": said["metrics_port"], "progress": said["progress_port"]}

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        _, self.said = self.process.communicate(timeout=PATIENCE_SECONDS)
        code, self.process = self.process.returncode, None
        return code

    def scrape(self) -> dict[str, float]:
        url = f"http://127.0.0.1:{self.ports['metrics']}{exporter.METRICS_PATH}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            text = answer.read().decode()
        names = ("component", "share", "slot")
        return {
            ",".join([sample.name, *(sample.labels[name] for name in names if name in sample.labels)]): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def report(self, **content: object) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.ports["progress"], timeout=10)
        try:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", exporter.PROGRESS_PATH, json.dumps(content), headers)
            assert connection.getresponse().status == 200
        finally:
            connection.close()

    def words(self) -> FinalReading | None:
        return parse(self.log.read_text())

    def eventually(self, what: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not what():
            assert time.monotonic() < deadline, "it did not come to pass"
            time.sleep(0.02)


GPU = f"{exporter.ENERGY},gpu,active"
CPU = f"{exporter.ENERGY},cpu,active"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[TlsAgent]:
    authority = Authority()
    grant(tmp_path / "agent", authority)
    with running(tmp_path, authority) as agent:
        yield agent


@pytest.fixture
def pod(tmp_path: Path, agent: TlsAgent) -> Iterator[Pod]:
    yield from _pod(Pod(tmp_path, agent))


@pytest.fixture
def lone_pod(tmp_path: Path) -> Iterator[Pod]:
    yield from _pod(Pod(tmp_path))


def _pod(pod: Pod) -> Iterator[Pod]:
    pod.start()
    yield pod
    if pod.process is not None:
        pod.end(signal.SIGKILL)


def test_it_tells_what_agent_and_trainer_say(agent: TlsAgent, pod: Pod) -> None:
    agent.answer = (200, readings(at=time.time(), gpu=share(500.0, 20.0, 120.0)))
    pod.eventually(lambda: pod.scrape().get(GPU) == 500.0)
    pod.report(step=5, metrics={"eval_loss": 0.5})
    series = pod.scrape()
    assert (series[exporter.STEP], series[exporter.EVALUATIONS]) == (5.0, 1.0)
    assert series[f"{exporter.EVALUATION_VALUE},1"] == 0.5


def test_last_words_stand_there_early_and_are_overwritten(agent: TlsAgent, pod: Pod) -> None:
    for joules in (500.0, 600.0):
        agent.answer = (200, readings(at=time.time(), gpu=share(joules)))
        pod.eventually(lambda joules=joules: _gpu_joules(pod.words()) == joules)  # type: ignore[misc]
    pod.report(step=5)
    pod.eventually(lambda: (words := pod.words()) is not None and words.training is not None)
    assert pod.end(signal.SIGKILL) == -signal.SIGKILL
    assert _gpu_joules(pod.words()) == 600.0


def test_no_counter_falls_when_it_is_killed_and_started_anew(agent: TlsAgent, pod: Pod) -> None:
    agent.answer = (200, readings(at=time.time(), since=1_000.0, gpu=share(500.0)))
    pod.eventually(lambda: pod.scrape().get(GPU) == 500.0)
    for number in range(3):
        pod.report(step=number, metrics={"eval_loss": float(number)})
    pod.end(signal.SIGKILL)
    agent.answer = (200, readings(at=time.time(), since=2_000.0, gpu=share(7.0)))
    pod.start()
    first = pod.scrape()
    assert first[GPU] >= 500.0
    assert first[exporter.EVALUATIONS] == 3.0
    pod.eventually(lambda: pod.scrape()[GPU] == 507.0)
    pod.report(step=9, metrics={"eval_loss": 9.0})
    assert pod.scrape()[f"{exporter.EVALUATION_VALUE},{4 % exporter.RING}"] == 9.0


def test_it_ends_once_the_meter_has_looked_after_the_signal(agent: TlsAgent, pod: Pod) -> None:
    agent.answer = (200, readings(at=time.time() - 1, gpu=share(500.0)))
    pod.eventually(lambda: _gpu_joules(pod.words()) == 500.0)
    agent.answer = (200, readings(at=time.time() + 3_600, gpu=share(600.0)))
    assert pod.end() == 0
    assert _gpu_joules(pod.words()) == 600.0


def test_it_ends_in_time_if_the_meter_does_not_look(agent: TlsAgent, pod: Pod) -> None:
    agent.answer = (200, readings(at=time.time() - 1, gpu=share(500.0)))
    pod.eventually(lambda: _gpu_joules(pod.words()) == 500.0)
    pod.report(step=5)
    assert pod.end() == 0
    words = pod.words()
    assert words is not None
    assert words.training is not None
    assert words.training.step == 5


def test_it_ends_if_the_agent_is_gone(agent: TlsAgent, pod: Pod) -> None:
    pod.eventually(lambda: _gpu_joules(pod.words()) == 10.0)
    agent.close()
    assert pod.end(signal.SIGINT) == 0
    assert _gpu_joules(pod.words()) == 10.0


def test_without_an_agent_it_estimates_and_says_so(lone_pod: Pod) -> None:
    lone_pod.eventually(lambda: lone_pod.scrape().get(CPU, 0.0) > 0.0)
    assert lone_pod.end() == 0
    words = lone_pod.words()
    assert words is not None
    assert words.joules[Component.CPU].source.value == "Estimated"


def test_a_port_that_is_taken_ends_it_with_what_to_do(tmp_path: Path) -> None:
    pod = Pod(tmp_path)
    with socket.create_server(("0.0.0.0", 0)) as taken:  # noqa: S104 - as the exporter listens
        port = taken.getsockname()[1]
        ended = subprocess.run(
            [sys.executable, "-m", "ballast", "exporter"],
            env={**pod.variables(), exporter.PROGRESS_PORT_VARIABLE: str(port)},
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
    assert ended.returncode == 2
    assert f"ballast: cannot listen on 127.0.0.1:{port}" in ended.stderr


def test_it_loads_nothing_that_its_image_does_not_hold(tmp_path: Path) -> None:
    code = (
        "import sys; from ballast.__main__ import main\n"
        "try: main(['exporter', '--settings'])\n"
        "finally:\n"
        "  import ballast.exporter.exporter, ballast.logs\n"
        "  print(*sys.modules, file=sys.stderr)"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], env=Pod(tmp_path).variables(), capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in ended.stderr.split()}
    heavy = {"aiohttp", "asyncio", "cryptography", "grpc", "kopf", "kubernetes", "pydantic", "pydantic_core", "pynvml"}
    assert loaded & heavy == set()
    assert "prometheus_client" in loaded
    assert all(variable in ended.stdout for variable in (exporter.POLL_SECONDS_VARIABLE, agentserving.HOST_VARIABLE))


def _gpu_joules(words: FinalReading | None) -> float:
    return words.joules[Component.GPU].active if words is not None and Component.GPU in words.joules else 0.0
