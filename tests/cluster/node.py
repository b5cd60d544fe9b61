"""One real node, seen from the host: its files, its start, its end.

A node is a kubelet, containerd, runc, CNI and kube-proxy in network, mount, PID and UTS namespaces of their own, with
a folder of their own in the cluster's state. Invariants: the host's mounts, containers, iptables rules and kernel
settings stay as they are; killing the namespaces' first process is a crash of the whole node; starting a node again
after that is a reboot, which keeps its disk.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from tests.cluster import cgroups, processes
from tests.cluster.api_client import ApiClient, wait_until
from tests.cluster.control_plane import DNS_SERVICE_IP
from tests.cluster.debian_packages import find_command
from tests.cluster.errors import ClusterError, NotRunningError
from tests.cluster.network import Network, namespace_path
from tests.cluster.pki import write_client_kubeconfig
from tests.cluster.real_gpus import (
    GPU_PROGRAM,
    RESOURCE,
    RealGpus,
    daemon_command,
    gpu_control,
    kubelet_arguments,
    lay_out_gpus,
)
from tests.cluster.state import ClusterState
from tests.cluster.system_images import PAUSE_IMAGE, system_image_archives

if TYPE_CHECKING:
    from tests.nvmlsim.node import GpuNodeControl

READY_TIMEOUT_SECONDS = 120.0
CLUSTER_DOMAIN = "cluster.local"

#: What a node must find in place; the node's own folders are mounted over them.
_COVERED_FOLDERS = ("/var/lib", "/var/log", "/run", "/var/run")

_INIT = Path(__file__).resolve().parent / "node_init.py"
_CONTAINERD_SOCKET = "/run/containerd/containerd.sock"


class RealNode:
    """A real node of a cluster.

    Args:
        cluster_folder: The cluster's state folder.
        state: What is remembered about the cluster.
        network: The cluster's network.
        number: The node's number, from 1.
        gpus: Its simulated GPUs, if it has any.
    """

    def __init__(
        self, cluster_folder: Path, state: ClusterState, network: Network, number: int, gpus: RealGpus | None = None
    ) -> None:
        self.name = gpus.name if gpus else f"real-{number}"
        self.number = number
        self._gpus = gpus
        self.folder = cluster_folder / "nodes" / self.name
        self._cluster_folder = cluster_folder
        self._state = state
        self._network = network
        self.cgroup = f"{state.name}-real-{number}"

    @property
    def running(self) -> bool:
        """Whether the node's first process runs."""
        return bool(self._init_processes())

    def start(self, *, pki: Path, others: list[int]) -> None:
        """Starts the node; a node that is being started again boots from its own disk.

        Args:
            pki: The cluster's authority.
            others: The numbers of the cluster's other nodes.
        """
        self.kill()
        for covered in _COVERED_FOLDERS:
            if self.folder.is_relative_to(covered):
                raise ClusterError(
                    f"a real node cannot keep its files under {covered}, which it covers with its own",
                    remedy="Set BALLAST_CACHE to a folder elsewhere",
                )
        self._network.ensure_node(self.number, others)
        cgroups.create(self.cgroup)
        for folder in (self.folder / "logs", self.folder / "etc" / "cni"):
            folder.mkdir(parents=True, exist_ok=True)
        self._write_credentials(pki)
        self._write_files(pki)
        if self._gpus is not None:
            lay_out_gpus(self.folder, self._gpus, control_group=self.cgroup)
        # fmt: off
        command: list[str | Path] = [
            find_command("nsenter") or "nsenter", f"--net={namespace_path(self._network.node_namespace(self.number))}",
            find_command("unshare") or "unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc",
            sys.executable, "-I", "-S", _INIT, self._config_file,
        ]
        # fmt: on
        processes.spawn(command, state=self._cluster_folder, log=self.folder / "logs" / "init.log")

    def wait_until_ready(self, api: ApiClient, *, since: float) -> None:
        """Waits until the node's kubelet has said, after a moment, that it is ready.

        Args:
            api: The API server.
            since: The moment, in seconds since the epoch; what was said before it is from an earlier life.
        """
        wait_until(
            lambda: self.name in api.ready_nodes(since=since),
            f"a ready node {self.name}",
            timeout_seconds=READY_TIMEOUT_SECONDS,
            remedy=f"See the logs in {self.folder / 'logs'}",
        )
        if self._gpus is not None:
            wait_until(
                lambda: api.allocatable(self.name, RESOURCE) == self.gpus.devices,
                f"{self.gpus.devices} GPUs on the node {self.name}",
                timeout_seconds=READY_TIMEOUT_SECONDS,
                remedy=f"See {self.folder / 'logs' / GPU_PROGRAM}.log",
            )

    @property
    def gpus(self) -> GpuNodeControl:
        """Its simulated GPUs.

        Raises:
            ClusterError: It has none.
        """
        if self._gpus is None:
            raise ClusterError(f"the real node {self.name} has no GPUs", remedy="Ask for `cluster.gpu_node(MODEL)`")
        return gpu_control(self.folder)

    def kill_program(self, name: str) -> None:
        """Kills a program of the node, as a crash would; the node's init starts it again.

        Args:
            name: `kubelet`, `kube-proxy`, or `gpus`.

        Raises:
            NotRunningError: It does not run.
        """
        programs: dict[str, list[str]] = json.loads(self._config_file.read_text())["programs"]
        for pid, command in processes.marked(self._cluster_folder).items():
            if str(self.folder) in command and " ".join(programs[name]).endswith(command):
                os.kill(pid, signal.SIGKILL)
                return
        raise NotRunningError(f"{name} does not run on {self.name}", remedy=f"See {self.folder / 'logs'}")

    def kill(self) -> None:
        """Kills the node as a power cut would, and removes its control groups."""
        processes.kill_marked(self._cluster_folder, only=str(self._config_file))
        deadline = time.monotonic() + 30
        while self._members() and time.monotonic() < deadline:
            time.sleep(0.05)
        cgroups.remove(self.cgroup)

    def remove(self) -> None:
        """Kills the node and removes its files."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def containerd_root(self) -> Path:
        """Containerd's root folder, as the host sees it."""
        return self.folder / "var-lib" / "containerd"

    def ctr_command(self) -> list[str]:
        """The words with which a `ctr` command on the running node's containerd starts.

        Raises:
            NotRunningError: The node does not run.
        """
        enter = [find_command("nsenter") or "nsenter", f"--target={self._first_process()}", "--mount"]
        return [*enter, self._state.binaries["ctr"], "--address", _CONTAINERD_SOCKET]

    def _first_process(self) -> int:
        """The host's process id of the node's init, which is inside the node's namespaces."""
        own = Path("/proc/self/ns/mnt").stat()
        for pid in self._init_processes():
            try:
                namespace = Path(f"/proc/{pid}/ns/mnt").stat()
                command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if namespace.st_ino != own.st_ino and command[0] == sys.executable.encode():
                return pid
        raise NotRunningError(f"the real node {self.name} does not run", remedy="Run `python -m tests.cluster up`")

    def is_on_its_network(self, pid: int) -> bool:
        """Tells whether a process, by the host's number, is in the node's own network namespace.

        Raises:
            OSError: There is no such process.
        """
        node = namespace_path(self._network.node_namespace(self.number)).stat()
        return Path(f"/proc/{pid}/ns/net").stat().st_ino == node.st_ino

    def log_files(self) -> dict[str, Path]:
        """The log of each of the node's programs."""
        return {f"{self.name}/{file.stem}": file for file in sorted((self.folder / "logs").glob("*.log"))}

    @property
    def _config_file(self) -> Path:
        return self.folder / "node.json"

    def _init_processes(self) -> list[int]:
        mine = str(self._config_file)
        return [pid for pid, command in processes.marked(self._cluster_folder).items() if mine in command]

    def _members(self) -> list[int]:
        """Processes whose command line names the node's folder: its containerd, kubelet and kube-proxy."""
        mine = f"{self.folder}/"
        return [pid for pid, command in processes.marked(self._cluster_folder).items() if mine in command]

    def _write_credentials(self, pki: Path) -> None:
        server = f"https://{self._network.host_address}:{self._state.ports['kube-apiserver']}"
        write_client_kubeconfig(
            self._kubelet_kubeconfig, pki=pki, server=server, user=f"system:node:{self.name}", group="system:nodes"
        )
        write_client_kubeconfig(self._proxy_kubeconfig, pki=pki, server=server, user="system:kube-proxy")

    @property
    def _kubelet_kubeconfig(self) -> Path:
        return self.folder / "etc" / "kubelet.kubeconfig"

    @property
    def _proxy_kubeconfig(self) -> Path:
        return self.folder / "etc" / "kube-proxy.kubeconfig"

    def _write_files(self, pki: Path) -> None:
        etc = self.folder / "etc"
        cni_programs = etc / "cni-bin"
        shutil.rmtree(cni_programs, ignore_errors=True)
        cni_programs.mkdir()
        for plugin in ("ptp", "host-local", "portmap", "loopback"):
            (cni_programs / plugin).symlink_to(self._state.binaries[plugin])
        (etc / "cni" / "10-pods.conflist").write_text(self.render_cni())
        (etc / "containerd.toml").write_text(self.render_containerd(cni_programs, etc / "cni"))
        (etc / "kubelet.yaml").write_text(self.render_kubelet(pki / "ca.crt"))
        binaries = self._state.binaries
        path = os.pathsep.join(
            [
                *sorted(
                    {str(Path(binaries[name]).parent) for name in ("containerd", "containerd-shim-runc-v2", "runc")}
                ),
                "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin",
            ]
        )
        config = {
            "name": self.name,
            "root": str(self.folder),
            "logs": str(self.folder / "logs"),
            "path": path,
            "containerd": [binaries["containerd"], "--config", str(etc / "containerd.toml")],
            "containerd_socket": _CONTAINERD_SOCKET,
            "import_archives": self._archives_to_import(),
            "imported": str(self._imported),
            "import_command": [binaries["ctr"], "--address", _CONTAINERD_SOCKET, "-n", "k8s.io", "images", "import"],
            "programs": self._programs(etc),
        }
        self._config_file.write_text(json.dumps(config, indent=2))

    def _programs(self, etc: Path) -> dict[str, list[str]]:
        """The commands of what runs for ever once containerd does, in the order in which they start."""
        binaries = self._state.binaries
        programs = {
            "kubelet": [
                binaries["kubelet"],
                f"--config={etc / 'kubelet.yaml'}",
                f"--kubeconfig={self._kubelet_kubeconfig}",
                f"--hostname-override={self.name}",
                f"--node-ip={self._network.node_address(self.number)}",
                *kubelet_arguments(self._gpus),
            ],
            "kube-proxy": [
                binaries["kube-proxy"],
                f"--kubeconfig={self._proxy_kubeconfig}",
                "--proxy-mode=iptables",
                f"--hostname-override={self.name}",
                f"--cluster-cidr={self._network.pod_network}",
                # Table sizes are the machine's, not the node's.
                "--conntrack-max-per-core=0",
                "--conntrack-tcp-timeout-established=0",
                "--conntrack-tcp-timeout-close-wait=0",
            ],
        }
        if self._gpus is not None:
            programs[GPU_PROGRAM] = daemon_command(self.folder)
        return programs

    @property
    def _imported(self) -> Path:
        """Names the archives that the node has imported completely."""
        return self.folder / "imported-archives"

    def _archives_to_import(self) -> list[str]:
        archives = [str(archive) for archive in system_image_archives()]
        done = self._imported.read_text().splitlines() if self._imported.exists() else []
        return [] if set(archives) <= set(done) else archives

    def render_cni(self) -> str:
        """The pod network: each pod a point-to-point link to the node, so that all traffic is routed.

        A bridge would carry packets between two pods of a node past the node's iptables rules, and Services between
        them would fail wherever the kernel does not filter bridged packets.
        """
        ipam = {
            "type": "host-local",
            "dataDir": "/run/cni-addresses",
            "ranges": [[{"subnet": self._network.pod_range(self.number)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        }
        return json.dumps(
            {
                "cniVersion": "1.0.0",
                "name": "pods",
                "plugins": [
                    {"type": "ptp", "ipMasq": False, "ipam": ipam},
                    {"type": "portmap", "capabilities": {"portMappings": True}},
                ],
            },
            indent=2,
        )

    def render_containerd(self, cni_programs: Path, cni_config: Path) -> str:
        """Containerd's configuration."""
        return f"""\
version = 3
root = "/var/lib/containerd"
state = "/run/containerd"

[grpc]
  address = "{_CONTAINERD_SOCKET}"

[plugins."io.containerd.cri.v1.images"]
  snapshotter = "overlayfs"
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "{PAUSE_IMAGE}"

[plugins."io.containerd.cri.v1.runtime"]
  # Without CAP_SYS_RESOURCE no process may be made harder to kill than its parent.
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["{cni_programs}"]
    conf_dir = "{cni_config}"
  [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
      SystemdCgroup = false
      BinaryName = "{self._state.binaries["runc"]}"

# These would make folders outside the node.
[plugins."io.containerd.nri.v1.nri"]
  disable = true
[plugins."io.containerd.internal.v1.opt"]
  path = "/var/lib/containerd-opt"
"""

    def render_kubelet(self, client_ca: Path) -> str:
        """The kubelet's configuration."""
        # A change of the GPUs would be told up to ten seconds late.
        quick = {"nodeStatusUpdateFrequency": "1s", "nodeStatusReportFrequency": "5m"} if self._gpus else {}
        return yaml.safe_dump(
            {
                **quick,
                "apiVersion": "kubelet.config.k8s.io/v1beta1",
                "kind": "KubeletConfiguration",
                "authentication": {
                    "anonymous": {"enabled": False},
                    "webhook": {"enabled": True},
                    "x509": {"clientCAFile": str(client_ca)},
                },
                "authorization": {"mode": "Webhook"},
                "cgroupDriver": "cgroupfs",
                "cgroupRoot": f"/{self.cgroup}",
                "clusterDNS": [DNS_SERVICE_IP],
                "clusterDomain": CLUSTER_DOMAIN,
                "containerRuntimeEndpoint": f"unix://{_CONTAINERD_SOCKET}",
                "enforceNodeAllocatable": [],
                # Only memory: a full disk of the host must not empty the node.
                "evictionHard": {"memory.available": "100Mi"},
                "failCgroupV1": False,
                "failSwapOn": False,
                # /dev/kmsg may be missing, and limits may be fixed: with this gate a kubelet goes on without.
                "featureGates": {"KubeletInUserNamespace": True, "KubeletCrashLoopBackOffMax": True},
                # What a test has killed is to come back at once, however often.
                "crashLoopBackOff": {"maxContainerRestartPeriod": "1s"},
                # Images come with the node and cannot be pulled again: never collect them.
                "imageGCHighThresholdPercent": 100,
                "imageGCLowThresholdPercent": 99,
                "resolvConf": "",
                "serializeImagePulls": False,
                "volumePluginDir": "/var/lib/kubelet/volume-plugins",
            },
            sort_keys=False,
        )
