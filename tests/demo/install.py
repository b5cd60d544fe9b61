"""Installs Ballast: in the cluster from charts/ballast, or, where no node could run it, the operator alone, beside it.

Invariant: when `install` returns, operator and agents have said that they are ready; one operator at a time works on a
cluster.
"""

from __future__ import annotations

import os
import shlex
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.errors import CommandError
from tests.cluster.helm import CHART, POD_SECURITY, RELEASE, helm
from tests.demo.errors import DemoError
from tests.demo.kubectl import Kubectl

CHECKOUT = Path(__file__).resolve().parents[2]
SYSTEM_NAMESPACE = "ballast-system"
DEPLOYMENT = "ballast-operator"
AGENTS = "ballast-agent"
#: Tells one build of an image from another of the same name: when it changes, the Deployment rolls.
BUILD_ANNOTATION = "ballast.dev/image-build"
READY_TIMEOUT_SECONDS = 120

_NAMESPACE = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": SYSTEM_NAMESPACE, "labels": POD_SECURITY},
}


def install(
    kubectl: Kubectl, kubeconfig: Path, *, image: str = "", build: str = "", agents: Sequence[str] = ()
) -> None:
    """Installs the operator in the cluster, as a user does, and waits until it is ready.

    Args:
        kubectl: The cluster.
        kubeconfig: The same cluster, for helm.
        image: Runs in place of the chart's own image.
        build: What tells this build of the image from others.
        agents: Options of helm for the agents; without any there are none.

    Raises:
        DemoError: Operator or agents did not become ready; the error says what its pods say.
    """
    kubectl.apply([_NAMESPACE])
    apply_crds(kubectl)
    # What an interrupted helm left would keep the next one from beginning.
    unfinished = f"owner=helm,name={RELEASE},status in (pending-install,pending-upgrade,pending-rollback)"
    kubectl.run("delete", "secrets", "-n", SYSTEM_NAMESPACE, "-l", unfinished)
    words = ("upgrade", "--install", RELEASE, str(CHART), "--namespace", SYSTEM_NAMESPACE)
    # Of an earlier demo, or of manifests that were applied by hand, it takes over what there is.
    options = (
        "--take-ownership", "--wait", f"--timeout={READY_TIMEOUT_SECONDS}s",
        *image_options(image, build), *(agents or ("--set=agent.enabled=false",)),
    )  # fmt: skip
    try:
        helm(*words, *options, kubeconfig=kubeconfig, timeout_seconds=READY_TIMEOUT_SECONDS + 15)
    except CommandError as error:
        raise DemoError(
            f"helm could not install Ballast, or it is not ready after {READY_TIMEOUT_SECONDS} s:"
            f" {error.message.splitlines()[-1][-400:]}; {pods_say(kubectl)}",
            remedy=f"See `kubectl describe pods -n {SYSTEM_NAMESPACE}` and `kubectl logs deployment/{DEPLOYMENT}"
            f" -n {SYSTEM_NAMESPACE}`; where its image cannot be pulled, load it into the cluster's nodes, or name one"
            " that can: --operator-image",
        ) from error
    if agents:
        # helm takes a DaemonSet for ready when some of its pods may still be missing.
        kubectl.run("rollout", "status", f"daemonset/{AGENTS}", "-n", SYSTEM_NAMESPACE, "--timeout=90s")


def uninstall(kubectl: Kubectl, kubeconfig: Path) -> None:
    """Removes what `install` made, the CRDs and the namespace included."""
    helm("uninstall", RELEASE, "--namespace", SYSTEM_NAMESPACE, "--ignore-not-found", "--wait", kubeconfig=kubeconfig)
    kubectl.run("delete", "-f", str(CHART / "crds"), "--ignore-not-found", timeout_seconds=300)
    kubectl.run("delete", "namespace", SYSTEM_NAMESPACE, "--ignore-not-found", timeout_seconds=300)


def uninstall_commands(kubectl: str, helm_program: Path | str, kubeconfig: Path) -> tuple[str, ...]:
    """The words for what `uninstall` does.

    Args:
        kubectl: How kubectl is called.
        helm_program: Where helm is.
        kubeconfig: The cluster.
    """
    return (
        f"{helm_program} --kubeconfig={shlex.quote(str(kubeconfig))} uninstall {RELEASE} -n {SYSTEM_NAMESPACE}",
        f"{kubectl} delete -f charts/ballast/crds",
        f"{kubectl} delete namespace {SYSTEM_NAMESPACE}",
    )


def image_options(image: str, build: str) -> tuple[str, ...]:
    """Options of helm for another image, and for the mark of its build: when that changes, the Deployment rolls."""
    chosen = ("--set-string", f"image.repository={_literal(image)},image.tag=") if image else ()
    key = _literal(BUILD_ANNOTATION).replace(".", "\\.")
    return (*chosen, *(("--set-string", f"podAnnotations.{key}={_literal(build)}") if build else ()))


def _literal(text: str) -> str:
    """Text as helm's --set takes it: a comma would begin the next setting."""
    return text.replace("\\", "\\\\").replace(",", "\\,")


def apply_crds(kubectl: Kubectl) -> None:
    """Brings the CRDs up to date, which helm leaves as they are once they are there."""
    kubectl.apply([each for file in sorted((CHART / "crds").glob("*.yaml")) for each in _documents(file)])
    _wait_for_crds(kubectl)


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


def log_tail(kubectl: Kubectl, workload: str = f"deployment/{DEPLOYMENT}", lines: int = 25) -> str:
    """The end of the log of the operator, or of another workload of Ballast's, in the cluster."""
    return kubectl.run("logs", workload, "-n", SYSTEM_NAMESPACE, f"--tail={lines}")


@contextmanager
def local_operator(kubectl: Kubectl, kubeconfig: Path, log: Path) -> Iterator[None]:
    """Runs the operator as a process of this machine, ready, until the context is left.

    Raises:
        DemoError: It did not become ready.
    """
    apply_crds(kubectl)
    # One operator at a time: an earlier demo may have installed one in the cluster.
    kubectl.run("delete", "validatingwebhookconfiguration", "ballast", "--ignore-not-found")
    kubectl.run(
        "delete", "deployment", DEPLOYMENT, "-n", SYSTEM_NAMESPACE, "--ignore-not-found", "--cascade=foreground"
    )
    kubectl.apply([_NAMESPACE])  # its Lease is there
    port = _free_port()
    environment = {
        **os.environ,
        "KUBECONFIG": str(kubeconfig),
        "PYTHONPATH": str(CHECKOUT / "operator"),
        "BALLAST_HTTP_HOST": "127.0.0.1",
        "BALLAST_HTTP_PORT": str(port),
        "BALLAST_WEBHOOK_PORT": "0",  # nothing in the cluster is told to call this machine
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
