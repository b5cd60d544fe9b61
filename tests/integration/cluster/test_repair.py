"""`up` brings a cluster up whatever became of the last one: killed half-way, dead parts, a reboot."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cluster import Cluster, processes
from tests.cluster.paths import CHECKOUT

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def start_up(cluster: Cluster) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.cluster", "up"],
        cwd=CHECKOUT,
        env={**os.environ, "BALLAST_CLUSTER": cluster.name},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill_when(process: subprocess.Popen[bytes], sign: Path) -> None:
    """Kills a command as soon as a file exists."""
    deadline = time.monotonic() + 120
    while not sign.exists():
        assert process.poll() is None, "the command ended before it could be killed"
        assert time.monotonic() < deadline, f"{sign} never came about"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()


@pytest.mark.parametrize(
    "sign",
    [
        "state.json",
        "kwok/kwokctl.yaml",
        "kwok/clusters/{name}/pids/kube-apiserver.pid",
        "nodes/real-1/node.json",
        "nodes/real-1/logs/kubelet.log",
    ],
)
def test_after_up_was_killed(nothing_left: Cluster, sign: str) -> None:
    kill_when(start_up(nothing_left), nothing_left.folder / sign.format(name=nothing_left.name))
    nothing_left.up(real_nodes=1)
    assert nothing_left.running
    assert "real-1" in nothing_left.kubectl("get", "nodes")


def test_down_after_up_was_killed(nothing_left: Cluster) -> None:
    kill_when(start_up(nothing_left), nothing_left.folder / "nodes/real-1/logs/kubelet.log")
    nothing_left.down()
    assert not nothing_left.folder.exists()


def test_after_components_died(nothing_left: Cluster) -> None:
    nothing_left.up(real_nodes=1)
    nothing_left.kubectl("create", "configmap", "kept")
    for component in ("etcd", "kube-apiserver", "kwok-controller", "prometheus"):
        nothing_left.kill_component(component)
    nothing_left.real_node(1).kill()
    assert not nothing_left.running
    nothing_left.up()
    assert nothing_left.running
    assert "kept" in nothing_left.kubectl("get", "configmaps")


def test_after_a_reboot(nothing_left: Cluster) -> None:
    nothing_left.up(real_nodes=1)
    nothing_left.kubectl("create", "configmap", "kept")
    processes.kill_marked(nothing_left.folder)
    for namespace in ("switch", "node1"):
        subprocess.run(["ip", "netns", "delete", f"{nothing_left.name}-{namespace}"], check=True)
    # A process id that is on disk belongs to another program after a reboot; it must be left alone.
    bystander = subprocess.Popen(["sleep", "600"])
    pid_file = nothing_left.folder / "kwok" / "clusters" / nothing_left.name / "pids" / "etcd.pid"
    pid_file.write_text(str(bystander.pid))
    try:
        nothing_left.up()
        assert nothing_left.running
        assert "kept" in nothing_left.kubectl("get", "configmaps")
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_up_on_a_running_cluster_starts_nothing(throwaway: Cluster) -> None:
    throwaway.up(real_nodes=1)
    before = processes.marked(throwaway.folder).keys()
    throwaway.up(real_nodes=1)
    assert before <= processes.marked(throwaway.folder).keys()


def test_after_a_node_crashed(throwaway: Cluster) -> None:
    throwaway.up(real_nodes=1)
    throwaway.real_node(1).kill()
    assert not throwaway.running
    throwaway.up()
    assert throwaway.running
