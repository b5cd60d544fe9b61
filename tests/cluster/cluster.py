"""The embedded cluster as one object: up, down, and what one needs to use it.

`up` is a reconciliation, not a script: it asks what there is, and makes what is missing. Invariants: it may be killed
at any moment and run again; `down` after any of that leaves nothing; nothing is shared between two clusters but the
cache of programs and images.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.cluster import cgroups, dns, image_store, processes
from tests.cluster import state as cluster_state
from tests.cluster.api_client import ApiClient, wait_until
from tests.cluster.binaries import resolve_all
from tests.cluster.catalogue import CLIENTS, CONTROL_PLANE, REAL_NODE
from tests.cluster.commands import run
from tests.cluster.control_plane import ControlPlane
from tests.cluster.debian_packages import REAL_NODE_COMMANDS, ensure_host_commands
from tests.cluster.errors import ClusterError, CommandError, NotReadyError, NotRunningError
from tests.cluster.gpu_nodes import GpuNode, node_list
from tests.cluster.network import MAXIMUM_NODES, Network, networks_in_use, remove_networks
from tests.cluster.node import RealNode
from tests.cluster.paths import cluster_name, clusters_dir
from tests.cluster.platforms import why_no_real_node
from tests.cluster.progress import say, step
from tests.cluster.real_gpus import RealGpus, extended
from tests.cluster.state import ClusterState


class Cluster:
    """One embedded cluster.

    Args:
        name: Its name; two clusters of one cache need two names.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.folder = clusters_dir() / name

    @classmethod
    def for_checkout(cls) -> Cluster:
        """The cluster of this checkout (`$BALLAST_CLUSTER` names another)."""
        return cls(cluster_name())

    # Using it

    @property
    def running(self) -> bool:
        """Whether the control plane runs and answers, and every real node runs."""
        state = self._state()
        if state is None or not state.control_plane_created:
            return False
        plane = self._plane(state)
        nodes_run = all(node.running for node in self._nodes(state))
        return not plane.stopped_components() and plane.api.is_ready() and nodes_run

    @property
    def kubeconfig(self) -> Path:
        """The admin's kubeconfig, for use on this machine."""
        return self._plane(self._require_state()).kubeconfig

    @property
    def prometheus_url(self) -> str:
        """Prometheus, reachable from this machine and from pods on real nodes."""
        state = self._require_state()
        return f"http://{_host_address(state)}:{state.ports['prometheus']}"

    @property
    def audit_log(self) -> Path:
        """The API server's audit log: one JSON object a line."""
        return self._plane(self._require_state()).audit_log

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout_seconds: float = 120.0) -> str:
        """Runs kubectl as the cluster's admin and returns its output.

        Raises:
            CommandError: kubectl failed.
            NotRunningError: There is no cluster.
        """
        return run([*self.kubectl_command(), *arguments], stdin=stdin, timeout_seconds=timeout_seconds)

    def kubectl_command(self) -> list[str]:
        """The words with which a kubectl command on this cluster starts."""
        state = self._require_state()
        kubeconfig, cache = self._plane(state).kubeconfig, self.folder / "kubectl-cache"
        return [state.binaries["kubectl"], f"--kubeconfig={kubeconfig}", f"--cache-dir={cache}"]

    def environment(self) -> dict[str, str]:
        """The variables with which other programs find the cluster."""
        state = self._require_state()
        kubectl = Path(state.binaries["kubectl"]).parent
        return {
            "KUBECONFIG": str(self.kubeconfig),
            "PROMETHEUS_URL": self.prometheus_url,
            "PATH": f"{kubectl}{os.pathsep}{os.environ.get('PATH', '')}",
        }

    def add_gpu_nodes(self, nodes: Sequence[GpuNode], *, timeout_seconds: float = 120.0) -> None:
        """Adds simulated GPU nodes and waits until they are ready. Nodes that exist already are updated."""
        self.kubectl(
            "apply", "--server-side", "-f", "-", stdin=json.dumps(node_list(nodes)), timeout_seconds=timeout_seconds
        )
        names = {node.name for node in nodes}
        api = self._plane(self._require_state()).api
        wait_until(
            lambda: names <= api.ready_nodes(), f"{len(names)} ready simulated nodes", timeout_seconds=timeout_seconds
        )

    def kill_component(self, name: str) -> None:
        """Kills a component of the control plane, as a crash would; `up` starts it again."""
        self._plane(self._require_state()).stop_component(name)

    def load_images(self, images: Sequence[str] | None = None, *, archives: Sequence[Path] = ()) -> None:
        """Builds the project's images where they are stale, and loads them into every real node.

        Args:
            images: Targets of the Dockerfile; all when absent, none when empty.
            archives: Archives of further images.
        """
        for node in self._nodes(self._require_state()):
            image_store.load_into(node.ctr_command(), node.containerd_root, images, archives=archives)

    def log_files(self) -> dict[str, Path]:
        """The log file of every component that has one, by the component's name."""
        state = self._require_state()
        logs = self._plane(state).log_files()
        for node in self._nodes(state):
            logs |= node.log_files()
        return logs

    def status_lines(self) -> list[str]:
        """What runs and where it is, for a person."""
        state = self._state()
        if state is None or not state.control_plane_created:
            return [f"cluster {self.name}: not up"]
        plane = self._plane(state)
        stopped = plane.stopped_components()
        ready = plane.api.is_ready()
        lines = [
            f"cluster {self.name}: {'running' if self.running else 'needs repair: run `up`'}",
            f"state       {self.folder}",
            f"kubeconfig  {plane.kubeconfig}",
            f"prometheus  {self.prometheus_url}",
            f"audit log   {plane.audit_log}",
        ]
        if stopped:
            lines.append(f"stopped     {', '.join(stopped)}")
        if ready:
            lines.append(f"nodes       {', '.join(sorted(plane.api.ready_nodes())) or 'none yet'}")
        lines += [f"gpus        {gpus.name}: {gpus.gpus} simulated {gpus.model}" for gpus in state.gpu_nodes]
        return lines

    # Making and removing it

    @staticmethod
    def prepare() -> None:
        """Finds, downloads or builds every program that clusters need here; starts nothing.

        Raises:
            ClusterError: A program cannot be had.
        """
        obstacle = why_no_real_node()
        if obstacle is None:
            ensure_host_commands(REAL_NODE_COMMANDS)
        resolve_all((*CONTROL_PLANE, *(() if obstacle else REAL_NODE), *CLIENTS))

    def up(self, *, real_nodes: int = 1, gpu_nodes: Sequence[RealGpus | str] = ()) -> None:
        """Brings the cluster up, or repairs it; on a running one it changes nothing.

        Args:
            real_nodes: How many real nodes without GPUs there are to be at least; one where there are some with GPUs.
            gpu_nodes: The real nodes with simulated GPUs that there are to be at least, by model: `("V100", "A40")`.

        Raises:
            ClusterError: It cannot be brought up.
        """
        obstacle = why_no_real_node()
        if obstacle and (real_nodes or gpu_nodes):
            say(f"coming up without a real node: {obstacle}")
            real_nodes, gpu_nodes = 0, ()
        # Cluster DNS does not run beside GPUs.
        real_nodes = max(real_nodes, 1 if gpu_nodes else 0)
        extended((), gpu_nodes, plain_nodes=real_nodes, most=MAXIMUM_NODES)  # refuses before anything is made
        with cluster_state.locked(self.folder):
            state = self._state() or self._allocate(networked=obstacle is None)
            if real_nodes and not state.networked:
                say("the cluster was made where there could be no real node, and is made anew")
                self._remove_everything()
                state = self._allocate(networked=True)
            real_nodes = max(state.real_nodes, real_nodes)
            with_gpus = extended(state.gpu_nodes, gpu_nodes, plain_nodes=real_nodes, most=MAXIMUM_NODES)
            state = self._remember(state, real_nodes=real_nodes, gpu_nodes=with_gpus)
            state = self._ensure_binaries(state)
            if state.networked and _network(state).ensure_switch():
                for node in self._nodes(state):
                    node.kill()
            state = self._ensure_control_plane(state)
            self._ensure_real_nodes(state)

    def add_real_node(self) -> str:
        """Adds one more real node to the running cluster and returns its name."""
        number = self._require_state().real_nodes + 1
        self.up(real_nodes=number)
        return self.real_node(number).name

    def add_real_gpu_node(self, gpus: RealGpus) -> str:
        """Adds one more real node with simulated GPUs to the running cluster and returns its name."""
        present = self._require_state().gpu_nodes
        self.up(gpu_nodes=[*(node.model for node in present), gpus])
        return self._require_state().gpu_nodes[len(present)].name

    def real_node(self, number: int) -> RealNode:
        """A real node without GPUs of this cluster, by its number from 1."""
        state = self._require_state()
        return RealNode(self.folder, state, _network(state), number)

    def gpu_node(self, name: str) -> RealNode:
        """A real node with simulated GPUs, by its name, or the first of a GPU model.

        Raises:
            ClusterError: There is none.
        """
        state = self._require_state()
        for gpus in state.gpu_nodes:
            if name in {gpus.name, gpus.model}:
                return RealNode(self.folder, state, _network(state), gpus.number, gpus)
        known = ", ".join(gpus.name for gpus in state.gpu_nodes) or "none"
        raise ClusterError(
            f"there is no real node with GPUs {name!r}, but {known}",
            remedy="Add it with `python -m tests.cluster up --gpu-nodes MODEL`",
        )

    def down(self) -> None:
        """Removes the cluster and everything it made; does nothing where there is none."""
        with cluster_state.locked(self.folder):
            self._remove_everything()
            cluster_state.remove_lock(self.folder)

    def _remove_everything(self) -> None:
        state = self._state()
        processes.kill_marked(self.folder)
        if why_no_real_node() is None:
            for name in sorted({group.name for group in cgroups.existing(re.escape(self.name) + r"-real-\d+")}):
                cgroups.remove(name)
            remove_networks(self.name, state.block if state is not None else None)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _allocate(self, *, networked: bool) -> ClusterState:
        if networked:
            ensure_host_commands(REAL_NODE_COMMANDS)
        in_use = networks_in_use() if networked else []
        return cluster_state.allocate(self.folder, self.name, networked=networked, networks_in_use=in_use)

    def _remember(self, state: ClusterState, **changes: Any) -> ClusterState:
        changed = state.with_changes(**changes)
        if changed != state:
            cluster_state.save(self.folder, changed)
        return changed

    def _ensure_binaries(self, state: ClusterState) -> ClusterState:
        wanted = (*CONTROL_PLANE, *(REAL_NODE if state.real_nodes else ()))
        missing = [
            program for program in wanted if not Path(state.binaries.get(program.name, "/nonexistent")).is_file()
        ]
        if not missing:
            return state
        found = {name: str(path) for name, path in resolve_all(missing).items()}
        return self._remember(state, binaries={**state.binaries, **found})

    def _ensure_control_plane(self, state: ClusterState) -> ClusterState:
        plane = self._plane(state)
        if state.control_plane_created:
            try:
                plane.repair()
            except (NotReadyError, CommandError) as error:
                say(f"the control plane cannot be repaired and is made anew: {error}")
            else:
                return state
        state = self._remember(state, control_plane_created=False)
        # Nodes of an earlier control plane trust its authority, and are worth nothing without it.
        for node in self._nodes(state):
            node.remove()
        plane.create()
        return self._remember(state, control_plane_created=True)

    def _ensure_real_nodes(self, state: ClusterState) -> None:
        nodes = self._nodes(state)
        if not nodes:
            return
        plane = self._plane(state)
        ready = plane.api.ready_nodes()
        stopped = [node for node in nodes if not (node.running and node.name in ready)]
        _start_and_wait(stopped, plane.api, pki=plane.pki, others=[node.number for node in nodes])
        if not dns.answers(plane.api):
            self.kubectl("apply", "--server-side", "-f", "-", stdin=dns.manifests())
            wait_until(
                lambda: dns.answers(plane.api),
                "cluster DNS",
                timeout_seconds=90,
                remedy=f"See `python -m tests.cluster kubectl -n {dns.NAMESPACE} describe pods`",
            )

    def _nodes(self, state: ClusterState) -> list[RealNode]:
        """All real nodes, those without GPUs first."""
        network = _network(state)
        plain = [RealNode(self.folder, state, network, number) for number in range(1, state.real_nodes + 1)]
        return plain + [RealNode(self.folder, state, network, gpus.number, gpus) for gpus in state.gpu_nodes]

    def _plane(self, state: ClusterState) -> ControlPlane:
        return ControlPlane(self.folder, state, _host_address(state))

    def _state(self) -> ClusterState | None:
        return cluster_state.load(self.folder)

    def _require_state(self) -> ClusterState:
        state = self._state()
        if state is None or not state.control_plane_created:
            raise NotRunningError(f"cluster {self.name} is not up", remedy="Start it with `python -m tests.cluster up`")
        return state


def _start_and_wait(nodes: Sequence[RealNode], api: ApiClient, *, pki: Path, others: list[int]) -> None:
    """Starts nodes side by side and waits until they are ready."""
    if not nodes:
        return
    names = " and ".join(node.name for node in nodes)
    with step(f"starting the real node{'s'[: len(nodes) - 1]} {names}", estimate_seconds=8 + 4 * len(nodes)):
        began = float(int(time.time()))  # the API keeps whole seconds
        for node in nodes:
            node.start(pki=pki, others=others)
        for node in nodes:
            node.wait_until_ready(api, since=began)


def _network(state: ClusterState) -> Network:
    return Network(state.name, state.block)


def _host_address(state: ClusterState) -> str:
    return _network(state).host_address if state.networked else "127.0.0.1"
