"""The control plane: etcd, API server, controller manager, scheduler, kwok and Prometheus, run by kwokctl.

kwokctl writes certificates, configuration and command lines, and starts the processes; this module says with which
options, and repairs what died. Invariants: all ports are known before anything starts; only the API server (which
authenticates) listens beyond the loopback address, and Prometheus on the nodes' network; the user's own kubeconfig is
never touched.
"""

from __future__ import annotations

import base64
import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import processes
from tests.cluster.api_client import ApiClient, wait_until
from tests.cluster.catalogue import KUBERNETES_VERSION
from tests.cluster.commands import run
from tests.cluster.errors import ClusterError, CommandError
from tests.cluster.progress import say, step
from tests.cluster.prometheus import RULES, prometheus_config
from tests.cluster.state import ClusterState

SERVICE_NETWORK = "10.96.0.0/16"
KUBERNETES_SERVICE_IP = "10.96.0.1"
DNS_SERVICE_IP = "10.96.0.10"

#: Under which kwokctl's own names of the components are known to `logs`.
COMPONENTS = (
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok-controller",
    "prometheus",
)

_HERE = Path(__file__).resolve().parent


class ControlPlane:
    """The control plane of one cluster.

    Args:
        folder: The cluster's state folder.
        state: What is remembered about the cluster.
        host_address: The host's address on the nodes' network; the loopback address where there are no real nodes.
    """

    def __init__(self, folder: Path, state: ClusterState, host_address: str) -> None:
        self._folder = folder
        self._state = state
        self._host_address = host_address
        self._kwok_home = folder / "kwok"
        self.workdir = self._kwok_home / "clusters" / state.name
        self.pki = self.workdir / "pki"
        self.kubeconfig = folder / "kubeconfig"
        self.audit_log = self.workdir / "logs" / "audit.log"
        self.api = ApiClient(state.ports["kube-apiserver"], self.pki)

    def create(self) -> None:
        """Makes a new control plane; whatever an unfinished attempt left is removed first.

        Raises:
            ClusterError: kwokctl failed, or the API server does not become ready.
        """
        self.remove()
        self._kwok_home.mkdir(parents=True)
        config = self._kwok_home / "kwokctl.yaml"
        config.write_text(self.render_config())
        shutil.copy(_HERE / "audit_policy.yaml", self._kwok_home / "audit-policy.yaml")
        self._write_prometheus_config()
        with step("starting the control plane", estimate_seconds=8):
            try:
                self._kwokctl("create", "cluster", "--config", str(config), "--kubeconfig", "")
            except CommandError as error:
                raise ClusterError(f"kwokctl could not create the control plane: {error.message}") from error
            self.wait_until_ready()
        self._write_kubeconfig()

    def repair(self) -> bool:
        """Starts whatever of an existing control plane is not running.

        Returns:
            Whether anything had to be started.

        Raises:
            NotReadyError: The API server does not become ready; the control plane must be made anew.
            CommandError: kwokctl failed.
        """
        missing = self.stopped_components()
        if missing:
            say(f"not running: {', '.join(missing)}")
            processes.forget_stale_pids(self.workdir / "pids", self._folder)
            self._write_prometheus_config()
            with step("restarting the control plane", estimate_seconds=8):
                self._kwokctl("start", "cluster")
                self.wait_until_ready()
        else:
            self.wait_until_ready()
        self._write_kubeconfig()
        return bool(missing)

    def stopped_components(self) -> list[str]:
        """The components that should run and do not."""
        return [name for name in COMPONENTS if not self._runs(name)]

    def stop_component(self, name: str) -> None:
        """Kills one component, as a crash would."""
        self._require_component(name)
        processes.kill_marked(self._folder, only=str(self._binary_in_workdir(name)))

    def log_files(self) -> dict[str, Path]:
        """The log of each component that has written one."""
        return {file.stem: file for file in sorted((self.workdir / "logs").glob("*.log"))}

    def remove(self) -> None:
        """Kills the components and removes all that they wrote."""
        processes.kill_marked(self._folder, only=str(self._kwok_home))
        shutil.rmtree(self._kwok_home, ignore_errors=True)
        self.kubeconfig.unlink(missing_ok=True)

    def render_config(self) -> str:
        """Kwokctl's configuration and kwok's stages, as YAML documents."""
        ports = self._state.ports
        prometheus = f"{self._host_address}:{ports['prometheus']}"
        any_address = "0.0.0.0" if self._host_address != "127.0.0.1" else "127.0.0.1"  # noqa: S104 - it authenticates
        options: dict[str, Any] = {
            "runtime": "binary",
            "kubeVersion": f"v{KUBERNETES_VERSION}",
            "bindAddress": "127.0.0.1",
            "kubeApiserverPort": ports["kube-apiserver"],
            "etcdPort": ports["etcd"],
            "etcdPeerPort": ports["etcd-peer"],
            "kubeControllerManagerPort": ports["kube-controller-manager"],
            "kubeSchedulerPort": ports["kube-scheduler"],
            "kwokControllerPort": ports["kwok-controller"],
            "prometheusPort": ports["prometheus"],
            "kubeAuthorization": True,
            "kubeAdmission": True,
            "securePort": True,
            "kubeAuditPolicy": str(self._kwok_home / "audit-policy.yaml"),
            "kubeApiserverCertSANs": [KUBERNETES_SERVICE_IP, self._host_address],
            "etcdBinary": self._state.binaries["etcd"],
            "kubeApiserverBinary": self._state.binaries["kube-apiserver"],
            "kubeControllerManagerBinary": self._state.binaries["kube-controller-manager"],
            "kubeSchedulerBinary": self._state.binaries["kube-scheduler"],
            "kubectlBinary": self._state.binaries["kubectl"],
            "kwokControllerBinary": self._state.binaries["kwok"],
            "prometheusBinary": self._state.binaries["prometheus"],
        }
        patches = {
            "kube-apiserver": {
                "service-cluster-ip-range": SERVICE_NETWORK,
                "kubelet-client-certificate": str(self.pki / "admin.crt"),
                "kubelet-client-key": str(self.pki / "admin.key"),
                "kubelet-preferred-address-types": "InternalIP",
                "audit-log-maxsize": "2000",
                # No ClusterIP works on the host: webhooks are reached at the addresses of their pods.
                "enable-aggregator-routing": "true",
            },
            # The defaults (20 and 30) make the creation of pods the slow part of every test.
            "kube-controller-manager": {
                "kube-api-qps": "200",
                "kube-api-burst": "400",
                # Its default is a folder of the host, which it makes.
                "flex-volume-plugin-dir": str(self._kwok_home / "volume-plugins"),
            },
            "kube-scheduler": {"kube-api-qps": "200", "kube-api-burst": "400"},
            # Addresses that are routed nowhere (RFC 2544), enough for any number of simulated pods.
            "kwok-controller": {"manage-nodes-with-label-selector": "type=kwok", "cidr": "198.18.0.0/15"},
            "prometheus": {"storage.tsdb.retention.size": "1GB"},
        }
        overrides = {
            "kube-apiserver": {"bind-address": any_address},
            "kwok-controller": {"manage-all-nodes": "false"},
            "prometheus": {"config.file": str(self._prometheus_config), "web.listen-address": prometheus},
        }
        if self._host_address != "127.0.0.1":
            patches["kube-apiserver"]["advertise-address"] = self._host_address
        configuration = {
            "apiVersion": "config.kwok.x-k8s.io/v1alpha1",
            "kind": "KwokctlConfiguration",
            "options": options,
            "componentsPatches": [
                {
                    "name": name,
                    "extraArgs": [
                        *({"key": key, "value": value} for key, value in arguments.items()),
                        *(
                            {"key": key, "value": value, "override": True}
                            for key, value in overrides.get(name, {}).items()
                        ),
                    ],
                }
                for name, arguments in patches.items()
            ],
        }
        return yaml.safe_dump(configuration, sort_keys=False) + "---\n" + (_HERE / "kwok_stages.yaml").read_text()

    @property
    def _prometheus_config(self) -> Path:
        return self._kwok_home / "prometheus.yaml"

    def _write_prometheus_config(self) -> None:
        # A copy: the cluster may outlive the checkout.
        rules = Path(shutil.copy(RULES, self._kwok_home / RULES.name))
        text = prometheus_config(
            self._state.ports, pki=self.pki, kubeconfig=self.workdir / "kubeconfig.yaml", rule_files=[rules]
        )
        self._prometheus_config.write_text(text)

    def _kwokctl(self, *arguments: str) -> str:
        env = {
            "KWOK_WORKDIR": str(self._kwok_home),
            "HOME": str(self._kwok_home),
            # kwokctl takes the first kubectl on PATH, which must be ours.
            "PATH": f"{Path(self._state.binaries['kubectl']).parent}{os.pathsep}{os.environ.get('PATH', '')}",
        }
        return run(
            [self._state.binaries["kwokctl"], *arguments, "--name", self._state.name],
            env=processes.marked_environment(self._folder, env),
            timeout_seconds=300,
        )

    def wait_until_ready(self) -> None:
        """Waits until the API server is ready and the controllers have done what pods need.

        Raises:
            NotReadyError: It takes too long.
        """
        wait_until(
            self.api.is_ready,
            f"a ready API server on port {self._state.ports['kube-apiserver']}",
            timeout_seconds=90,
            remedy=f"See {self.workdir / 'logs' / 'kube-apiserver.log'}",
        )
        wait_until(
            self._has_default_service_account,
            "the service account of the default namespace",
            timeout_seconds=60,
            remedy=f"See {self.workdir / 'logs' / 'kube-controller-manager.log'}",
        )

    def _has_default_service_account(self) -> bool:
        accounts = self.api.get("/api/v1/namespaces/default/serviceaccounts")["items"]
        return any(account["metadata"]["name"] == "default" for account in accounts)

    def _runs(self, name: str) -> bool:
        try:
            pid = int((self.workdir / "pids" / f"{name}.pid").read_text())
        except (OSError, ValueError):
            return False
        return processes.is_marked(pid, self._folder)

    def _binary_in_workdir(self, name: str) -> Path:
        return self.workdir / "bin" / name

    def _require_component(self, name: str) -> None:
        if name not in COMPONENTS:
            raise ClusterError(f"there is no component {name!r}", remedy=f"Choose one of {', '.join(COMPONENTS)}")

    def _write_kubeconfig(self) -> None:
        """A kubeconfig that holds its certificates, so that it can be copied anywhere on this machine."""

        def inline(file: str) -> str:
            return base64.b64encode((self.pki / file).read_bytes()).decode()

        name = self._state.name
        server = f"https://127.0.0.1:{self._state.ports['kube-apiserver']}"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": inline("ca.crt")}}],
            "users": [
                {
                    "name": name,
                    "user": {
                        "client-certificate-data": inline("admin.crt"),
                        "client-key-data": inline("admin.key"),
                    },
                }
            ],
            "contexts": [{"name": name, "context": {"cluster": name, "user": name}}],
            "current-context": name,
        }
        part = self.kubeconfig.with_name("kubeconfig.part")
        part.touch(mode=0o600)
        part.write_text(yaml.safe_dump(content))
        part.rename(self.kubeconfig)
