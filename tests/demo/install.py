"""Installs the operator: in the cluster from charts/ballast, or, where no node could run it, as a process beside it.

Invariant: when `install` returns, the operator has said that it is ready; one operator at a time works on a cluster.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.demo.errors import DemoError
from tests.demo.kubectl import Kubectl

CHECKOUT = Path(__file__).resolve().parents[2]
CHART = CHECKOUT / "charts" / "ballast"
SYSTEM_NAMESPACE = "ballast-system"
DEPLOYMENT = "ballast-operator"
#: Tells one build of an image from another of the same name: when it changes, the Deployment rolls.
BUILD_ANNOTATION = "ballast.dev/image-build"
READY_TIMEOUT_SECONDS = 120


def install(kubectl: Kubectl, *, image: str = "", build: str = "") -> None:
    """Installs the operator in the cluster and waits until it is ready.

    Args:
        kubectl: The cluster.
        image: Runs in place of the chart's own image.
        build: What tells this build of the image from others.

    Raises:
        DemoError: The operator did not become ready; the error says what its pods say.
    """
    rendered = list(yaml.safe_load_all(kubectl.run("kustomize", str(CHART))))
    objects = [with_image(each, image, build) for each in rendered]
    # Namespace and CRD first: what follows needs them.
    first = [each for each in objects if each["kind"] in {"Namespace", "CustomResourceDefinition"}]
    kubectl.apply(first)
    kubectl.apply([each for each in objects if each not in first])
    _wait_for_crds(kubectl)
    try:
        kubectl.run(
            "rollout", "status", f"deployment/{DEPLOYMENT}", "-n", SYSTEM_NAMESPACE,
            f"--timeout={READY_TIMEOUT_SECONDS}s", timeout_seconds=READY_TIMEOUT_SECONDS + 15,
        )  # fmt: skip
    except DemoError as error:
        raise DemoError(
            f"the operator is not ready after {READY_TIMEOUT_SECONDS} s: {pods_say(kubectl)}",
            remedy=f"See `kubectl describe pods -n {SYSTEM_NAMESPACE}` and `kubectl logs deployment/{DEPLOYMENT}"
            f" -n {SYSTEM_NAMESPACE}`; where its image cannot be pulled, load it into the cluster's nodes, or name one"
            " that can: --operator-image",
        ) from error


def with_image(manifest: dict[str, Any], image: str, build: str) -> dict[str, Any]:
    """A manifest of the chart; the Deployment with another image and the mark of its build."""
    if manifest["kind"] != "Deployment":
        return manifest
    template = manifest["spec"]["template"]
    containers = [{**each, **({"image": image} if image else {})} for each in template["spec"]["containers"]]
    annotations = {**(template["metadata"].get("annotations") or {}), **({BUILD_ANNOTATION: build} if build else {})}
    template = {
        **template,
        "metadata": {**template["metadata"], "annotations": annotations},
        "spec": {**template["spec"], "containers": containers},
    }
    return {**manifest, "spec": {**manifest["spec"], "template": template}}


def pods_say(kubectl: Kubectl) -> str:
    """What keeps the operator's pods from being ready, in their own words."""
    said: list[str] = []
    for pod in kubectl.items("pods", "-n", SYSTEM_NAMESPACE):
        status = pod.get("status") or {}
        states = [(each.get("state") or {}) for each in status.get("containerStatuses") or ()]
        found = [f"{s['waiting'].get('reason')}: {s['waiting'].get('message', '')}" for s in states if "waiting" in s]
        found += [c.get("message", "") for c in status.get("conditions") or () if c.get("reason") == "Unschedulable"]
        said.append(f"pod {pod['metadata']['name']} is {', '.join([status.get('phase', 'new'), *found])}")
    return "; ".join(said) or "it has no pods"


def log_tail(kubectl: Kubectl, lines: int = 25) -> str:
    """The end of the operator's log in the cluster."""
    return kubectl.run("logs", f"deployment/{DEPLOYMENT}", "-n", SYSTEM_NAMESPACE, f"--tail={lines}")


@contextmanager
def local_operator(kubectl: Kubectl, kubeconfig: Path, log: Path) -> Iterator[None]:
    """Runs the operator as a process of this machine, ready, until the context is left.

    Raises:
        DemoError: It did not become ready.
    """
    kubectl.apply([each for file in sorted((CHART / "crds").glob("*.yaml")) for each in _documents(file)])
    _wait_for_crds(kubectl)
    # One operator at a time: an earlier demo may have installed one in the cluster.
    kubectl.run(
        "delete", "deployment", DEPLOYMENT, "-n", SYSTEM_NAMESPACE, "--ignore-not-found", "--cascade=foreground"
    )
    port = _free_port()
    environment = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "PYTHONPATH": str(CHECKOUT / "operator"),
        "BALLAST_HTTP_HOST": "127.0.0.1",
        "BALLAST_HTTP_PORT": str(port),
        "BALLAST_LOG_FORMAT": "text",
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "ballast", "operator"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_ready(process, port, log)
            yield
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_for_crds(kubectl: Kubectl) -> None:
    names = [f"crd/{each['metadata']['name']}" for file in (CHART / "crds").glob("*.yaml") for each in _documents(file)]
    kubectl.run("wait", "--for=condition=Established", "--timeout=30s", *sorted(names))


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DemoError(f"the operator ended with status {process.returncode}", remedy=f"See {log}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise DemoError(f"the operator is not ready after {READY_TIMEOUT_SECONDS} s", remedy=f"See {log}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _documents(file: Path) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(file.read_text()) if each]
