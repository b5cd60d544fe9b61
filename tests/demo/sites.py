"""Where the demo runs: on the embedded cluster, or on a cluster that the user names.

Both come down to a `Site`: how to reach it, what it can run, and what to tell a user who wants to look around.
Invariant: a user's own cluster gets only what can be removed by the commands that the site names.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import Cluster, image_builds
from tests.cluster.binaries import resolve
from tests.cluster.catalogue import PROGRAMS
from tests.cluster.gpu_nodes import node_list
from tests.cluster.paths import CHECKOUT
from tests.cluster.platforms import why_no_real_node
from tests.demo import gpus, objects
from tests.demo.comparison.boards import MODEL_NAMES, Boards
from tests.demo.errors import DemoError
from tests.demo.fleet import DEMO_LABEL, NAMESPACE, gpu_nodes
from tests.demo.gpus import SiteGpus
from tests.demo.install import uninstall, uninstall_commands
from tests.demo.kubectl import Kubectl
from tests.demo.stages import Stages

IMAGES = ("operator", "agent", "exporter", "trainer")


@dataclass(frozen=True, kw_only=True)
class Site:
    """A cluster that is ready for the demo.

    Attributes:
        real: Whether it has a node that runs real pods.
        simulated: Whether it has the demo's simulated GPU nodes.
        operator_image: Runs in place of the chart's own image.
        operator_build: Tells this build of the operator's image from others.
        trainer_image: Runs in place of the manifests' own image.
        gpus: GPUs of real nodes whose power can be limited; None where there are none.
        compared: Simulated boards of two GPU models, for the comparison with kube-scheduler; None where there are none.
        kubeconfig: For programs beside the cluster.
        operator_log: Where an operator beside the cluster logs.
        look_around: The command that makes `kubectl` work on it.
        take_down: The commands that remove what the demo made.
        remove: Does that.
    """

    kubectl: Kubectl
    kubeconfig: Path
    operator_log: Path
    real: bool
    simulated: bool
    operator_image: str = ""
    operator_build: str = ""
    trainer_image: str = ""
    gpus: SiteGpus | None = None
    compared: Boards | None = None
    look_around: str
    take_down: tuple[str, ...]
    remove: Callable[[], None]


def embedded(stages: Stages, *, real_node: bool = True) -> Site:
    """Brings the checkout's cluster up: with images and real nodes where there can be some, and simulated ones."""
    cluster = Cluster.for_checkout()
    obstacle = why_no_real_node() if real_node else "it was not wanted"
    builds: dict[str, str] = {}
    if obstacle:
        stages.warn(f"No real node here: {obstacle}.")
        stages.warn("The operator runs beside the cluster; the jobs that train for real, and with them all that is")
        stages.warn("shown of the power of GPUs, are left out.")
    else:
        with stages.stage(
            "images", "Images of operator, agent, exporter and trainer, where they are stale", estimate_seconds=5
        ):
            builds = {image.target: image.reference for image in image_builds.build(IMAGES)}
    with stages.stage("cluster", f"Cluster {cluster.name}", estimate_seconds=8 if obstacle else 35):
        cluster.up(real_nodes=0 if obstacle else 1, gpu_nodes=() if obstacle else MODEL_NAMES)
        if not obstacle:
            cluster.load_images(IMAGES)
        cluster.add_gpu_nodes(gpu_nodes())
    tell_nodes(stages, Kubectl(cluster.kubectl_command()))
    name = os.environ.get("BALLAST_CLUSTER")
    chosen = f"BALLAST_CLUSTER={shlex.quote(name)} " if name else ""
    return Site(
        kubectl=Kubectl(cluster.kubectl_command()),
        kubeconfig=cluster.kubeconfig,
        operator_log=cluster.folder / "demo-operator.log",
        real=obstacle is None,
        simulated=True,
        operator_build=builds.get("operator", ""),
        gpus=gpus.simulated(cluster, agent_build=builds["agent"]) if builds else None,
        compared=Boards({model: cluster.gpu_node(model) for model in MODEL_NAMES}) if builds else None,
        look_around=f'eval "$({chosen}.venv/bin/python -m tests.cluster env)"',
        take_down=(f"{chosen}make cluster-down",),
        remove=remove_embedded,
    )


def remove_embedded() -> None:
    """Removes the checkout's embedded cluster, or what there is of it."""
    Cluster.for_checkout().down()


def existing(
    stages: Stages,
    kubeconfig: Path,
    *,
    operator_image: str = "",
    agent_image: str = "",
    exporter_image: str = "",
    trainer_image: str = "",
    prometheus_url: str = "",
) -> Site:
    """Takes a user's own cluster as it is; simulated nodes are added only where kwok can keep them alive.

    Args:
        stages: Where it is told.
        kubeconfig: The cluster.
        operator_image: Runs in place of the chart's own image.
        agent_image: The image of the agents; without it there are none.
        exporter_image: The image of the exporters; likewise.
        trainer_image: Runs in place of the manifests' own image.
        prometheus_url: The cluster's Prometheus as pods reach it; without it there are no watts while jobs run.

    Raises:
        DemoError: There is no such file, no kubectl, or no answer.
    """
    if not kubeconfig.is_file():
        raise DemoError(
            f"there is no kubeconfig {kubeconfig}", remedy="Name a file: make demo KUBECONFIG=/path/to/file"
        )
    program = os.environ.get("BALLAST_BIN_KUBECTL") or shutil.which("kubectl")
    if program is None:
        raise DemoError("there is no kubectl on PATH", remedy="Install it, or name it: BALLAST_BIN_KUBECTL=/path/to/it")
    kubectl = Kubectl([program, f"--kubeconfig={kubeconfig}"])
    with stages.stage("cluster", f"The cluster of {kubeconfig}", estimate_seconds=2):
        found = [objects.node(each) for each in kubectl.items("nodes")]
        simulated = any(node.simulated for node in found) or bool(
            kubectl.items("deployments", "--all-namespaces", "-l", "app=kwok-controller")
        )
        if simulated:
            kubectl.apply(node_list(gpu_nodes())["items"])
            kubectl.run("wait", "--for=condition=Ready", "--timeout=60s", "nodes", "-l", DEMO_LABEL)
        else:
            stages.warn("No kwok here: only the jobs that train for real are run.")
        with_gpus = tuple(node.name for node in found if node.gpus and not node.simulated)
        missing = why_no_gpu_power(with_gpus, agent_image, exporter_image)
        if missing:
            stages.warn(f"Nothing is shown of the power of GPUs: {missing}.")
    tell_nodes(stages, kubectl)
    chosen = f"kubectl --kubeconfig={shlex.quote(str(kubeconfig))}"

    def remove() -> None:
        kubectl.run("delete", "namespace", NAMESPACE, "--ignore-not-found", timeout_seconds=300)
        uninstall(kubectl, kubeconfig)
        kubectl.run("delete", "nodes", "-l", DEMO_LABEL)

    return Site(
        kubectl=kubectl,
        kubeconfig=kubeconfig,
        operator_log=CHECKOUT / "demo-operator.log",
        real=True,
        simulated=simulated,
        operator_image=operator_image,
        trainer_image=trainer_image,
        gpus=None
        if missing
        else gpus.of_users(
            kubectl,
            with_gpus,
            agent_image=agent_image,
            exporter_image=exporter_image,
            prometheus_url=prometheus_url,
        ),
        look_around=f"export KUBECONFIG={shlex.quote(str(kubeconfig))}",
        take_down=(
            f"{chosen} delete namespace {NAMESPACE}",
            *uninstall_commands(chosen, resolve(PROGRAMS["helm"]).path, kubeconfig),
            f"{chosen} delete nodes -l {DEMO_LABEL}",
        ),
        remove=remove,
    )


def why_no_gpu_power(nodes: Sequence[str], agent_image: str, exporter_image: str) -> str:
    """Why the demo cannot limit and meter GPUs of a user's cluster; empty if it can.

    Args:
        nodes: Its real nodes with NVIDIA GPUs.
        agent_image: As the user named it.
        exporter_image: The same.
    """
    if not nodes:
        return "no real node here has an NVIDIA GPU"
    options = [("--agent-image", agent_image), ("--exporter-image", exporter_image)]
    missing = [option for option, value in options if not value]
    return f"{' and '.join(missing)} would have to be named" if missing else ""


def tell_nodes(stages: Stages, kubectl: Kubectl) -> None:
    """A line about the nodes that are there."""
    nodes = [objects.node(each) for each in kubectl.items("nodes")]
    real = [node.name for node in nodes if not node.simulated]
    gpus = ", ".join(f"{node.name} {node.gpus} {node.gpu_model}" for node in nodes if node.gpus)
    stages.say(f"real nodes: {', '.join(real) or 'none'}; GPU nodes: {gpus or 'none'}")
