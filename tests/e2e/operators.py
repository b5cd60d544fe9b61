"""Who operates the cluster: outside or inside, started when a test asks for it; replicas only where a test wants them.

Tests that only need *an* operator share one process, because starting it is the slow part of most of them. An operator
that was killed holds its lease a while longer; before the next one starts it is freed, because nobody is left who
believes to hold it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.cluster import Cluster
from tests.cluster.helm import CHART, POD_SECURITY, RELEASE, helm
from tests.cluster.processes import MARK
from tests.e2e.operator_process import OperatorProcess

OPERATOR_NAMESPACE = "ballast-system"
OPERATOR_NAME = "ballast-operator"
WEBHOOK_NAME = "ballast"
OPERATOR_PODS = "app.kubernetes.io/component=operator"
#: No node has this label: the rights are the agents' too, but agents run only where a test is about them.
NOWHERE = "nowhere"
#: The chart's templates without anything that runs.
RIGHTS = ("serviceaccount", "rbac", "agent/serviceaccount", "agent/rbac", "agent/policies", "nodepolicy")


class Operators:
    """Starts and stops the operators of a test session.

    Args:
        cluster: the cluster, on which the API and the operator's service account are installed.
        folder: for kubeconfig and logs.
    """

    def __init__(self, cluster: Cluster, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self._shared: OperatorProcess | None = None
        self._shared_settings: Mapping[str, str] = {}
        self._deployed = False
        self._started = 0
        self._kubeconfig = folder / "operator.kubeconfig"

    def shared(self, settings: Mapping[str, str] | None = None) -> OperatorProcess:
        """Return the process that tests with the same settings share, ready; start it if it does not run."""
        wanted = settings or {}
        if self._shared is None or not self._shared.running or self._shared_settings != wanted:
            self._shared, self._shared_settings = self.start(settings=wanted), wanted
        return self._shared.wait_until_ready()

    def start(
        self,
        *,
        failpoint: str = "",
        log: Path | None = None,
        settings: Mapping[str, str] | None = None,
        module: str = "ballast",
        beside: bool = False,
    ) -> OperatorProcess:
        """Start a process of the test's own, which ends it; stop what operates before, unless it is to run `beside`."""
        if not beside:
            self.stop()
            self._free_lease()
        return OperatorProcess(
            self.kubeconfig(),
            log or self.new_log(),
            failpoint=failpoint,
            # Marked as the cluster's, so that removing the cluster ends it too, even after a killed session.
            settings={MARK: str(self._cluster.folder), **(settings or {})},
            module=module,
        )

    def new_log(self) -> Path:
        """Return the file for another operator's log."""
        self._started += 1
        return self._folder / f"operator-{self._started}.log"

    def deployed(self) -> None:
        """See to it that the operator runs in the cluster, installed as a user does, and is ready."""
        if self._deployed:
            return
        self.stop()
        self._free_lease()
        self._deployed = True
        # The service account and its rights are there already, and get their owner here.
        helm(
            "upgrade", "--install", RELEASE, str(CHART), "-n", OPERATOR_NAMESPACE, "--take-ownership", "--wait",
            "--timeout=120s", f"--set=agent.nodeSelector.agents={NOWHERE}", kubeconfig=self._cluster.kubeconfig,
        )  # fmt: skip

    def stop(self) -> None:
        """Stop whatever operates the cluster."""
        if self._shared is not None:
            self._shared.kill()
            self._shared = None
        if self._deployed:
            # The rest stays, for operators outside: an uninstalled service account would take their token with it.
            self._cluster.kubectl("delete", "validatingwebhookconfiguration", WEBHOOK_NAME, "--ignore-not-found")
            self._cluster.kubectl("-n", OPERATOR_NAMESPACE, "delete", "deployment", OPERATOR_NAME, "--wait=true")
            gone = ("wait", "--for=delete", "pods", "-l", OPERATOR_PODS, "--timeout=60s")
            self._cluster.kubectl("-n", OPERATOR_NAMESPACE, *gone)
            self._deployed = False

    def _free_lease(self) -> None:
        self._cluster.kubectl("-n", OPERATOR_NAMESPACE, "delete", "lease", OPERATOR_NAME, "--ignore-not-found")

    def log_tail(self) -> str:
        """Return the end of the log of whatever operates, or operated last."""
        if self._deployed:
            return self._cluster.kubectl(
                "-n", OPERATOR_NAMESPACE, "logs", f"deployment/{OPERATOR_NAME}", "--all-containers", "--tail=60"
            )
        logs = sorted(self._folder.glob("operator-*.log"), key=lambda file: file.stat().st_mtime)
        return logs[-1].read_text(errors="replace")[-6000:] if logs else "(none)"

    def kubeconfig(self) -> Path:
        """Return a kubeconfig of the operator's service account."""
        if not self._kubeconfig.exists():
            admin = yaml.safe_load(self._cluster.kubeconfig.read_text())
            token = self._cluster.kubectl(
                "-n", OPERATOR_NAMESPACE, "create", "token", OPERATOR_NAME, "--duration=12h"
            ).strip()
            admin["users"][0]["user"] = {"token": token}
            self._kubeconfig.touch(mode=0o600)
            self._kubeconfig.write_text(yaml.safe_dump(admin))
        return self._kubeconfig


def install_api(cluster: Cluster) -> None:
    """Install what operator and agents need before they start: CRDs, service accounts, rights and policies."""
    crds = str(CHART / "crds")
    cluster.kubectl("apply", "--server-side", "-f", crds)
    cluster.kubectl("wait", "--for=condition=Established", "-f", crds, "--timeout=60s")
    namespace = {"metadata": {"name": OPERATOR_NAMESPACE, "labels": POD_SECURITY}}
    rights = helm(
        "template", RELEASE, str(CHART), "-n", OPERATOR_NAMESPACE,
        *(f"--show-only=templates/{name}.yaml" for name in RIGHTS),
    )  # fmt: skip
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "Namespace", **namespace}))
    cluster.kubectl("apply", "-f", "-", stdin=rights)
