"""What a training pod gets so that its power, energy and progress are known: the exporter beside the trainer.

A native sidecar: it is there before the trainer begins and ends after it, and its end does not hold the pod up. What
must hold: a pod that passes restricted Pod Security without it passes with it, one that is Guaranteed stays so, and
what the user's template says stays as it is (names that are ours are refused before, in `observe.parsing`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from ballast.act.agent_access import AgentAccess
from ballast.api import exporter
from ballast.api.finalreading import FINALIZER
from ballast.api.podtemplate import TRAINER_CONTAINER
from ballast.api.trainingjob import TrainingJob
from ballast.settings import OperatorSettings

JsonObject = dict[str, Any]

USER = 65532
"""Whose it runs as: nobody's, and no trainer's."""
STATE_SIZE = "4Mi"
"""Of its folder, which is in memory: small, written often, and of no use once the pod is gone."""
_SCRAPE = "prometheus.io/"


@dataclass(frozen=True)
class ExporterSidecar:
    """The exporter as training pods carry it.

    Attributes:
        image: Its image.
        pull_policy: When that is pulled.
        cpu: What it asks for and gets, a Kubernetes quantity.
        memory: Likewise.
        poll_seconds: How often it asks its node's agent.
        annotations: Whether its pods carry the annotations by which Prometheus finds them.
        metrics_port: On the pod's address.
        progress_port: On localhost.
    """

    image: str
    pull_policy: str = "IfNotPresent"
    cpu: str = "50m"
    memory: str = "64Mi"
    poll_seconds: float = 10.0
    annotations: bool = True
    metrics_port: int = exporter.METRICS_PORT
    progress_port: int = exporter.PROGRESS_PORT

    @classmethod
    def of(cls, settings: OperatorSettings) -> Self | None:
        """Return it as the settings say; None if they name no image."""
        if not settings.exporter_image:
            return None
        return cls(
            image=settings.exporter_image,
            pull_policy=settings.exporter_pull_policy,
            cpu=settings.exporter_cpu,
            memory=settings.exporter_memory,
            poll_seconds=settings.exporter_poll_seconds,
            annotations=settings.exporter_annotations,
        )

    @property
    def requests(self) -> dict[str, str]:
        """What each pod that carries it asks for in addition, as Kubernetes quantities."""
        return {"cpu": self.cpu, "memory": self.memory}

    def add(self, template: JsonObject, job: TrainingJob, attempt: int, agent: AgentAccess | None = None) -> None:
        """Add it to a pod template, and the finalizer that keeps its last words; pods that cannot carry it stay so.

        Args:
            template: of the job's pods; the trainer has been granted what it gets.
            job: the job.
            attempt: the number of the attempt.
            agent: how it reaches its node's agent; None where there is none: it estimates, and says so.
        """
        spec = template["spec"]
        if not exporter.is_carried_by(spec):
            return
        container = self._container(job, attempt, spec)
        if agent is not None:
            agent.grant_exporter(template, container)
        spec["volumes"] = [
            *(spec.get("volumes") or ()),
            {"name": exporter.STATE_VOLUME, "emptyDir": {"medium": "Memory", "sizeLimit": STATE_SIZE}},
        ]
        # First: the others may be sidecars, too, and what they draw counts.
        spec["initContainers"] = [container, *(spec.get("initContainers") or ())]
        metadata = template.setdefault("metadata", {})
        metadata["finalizers"] = list(dict.fromkeys([*(metadata.get("finalizers") or ()), FINALIZER]))
        if self.annotations:
            self._annotate(metadata)
        self._let_report(spec)

    def _container(self, job: TrainingJob, attempt: int, spec: JsonObject) -> JsonObject:
        container: JsonObject = {
            "name": exporter.CONTAINER,
            "image": self.image,
            "imagePullPolicy": self.pull_policy,
            "args": ["exporter"],
            "restartPolicy": "Always",
            "ports": [{"name": exporter.METRICS_PORT_NAME, "containerPort": self.metrics_port}],
            "env": self._variables(job, attempt),
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": USER,
                "runAsGroup": USER,
                "seccompProfile": {"type": "RuntimeDefault"},
                "privileged": False,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            },
            "volumeMounts": [{"name": exporter.STATE_VOLUME, "mountPath": exporter.STATE_PATH}],
        }
        # What the user gives the pod as a whole is for all its containers: theirs may not ask for more together.
        if not spec.get("resources"):
            container["resources"] = {"requests": dict(self.requests), "limits": dict(self.requests)}
        return container

    def _variables(self, job: TrainingJob, attempt: int) -> list[JsonObject]:
        values = {
            exporter.JOB_NAME_VARIABLE: job.metadata.name,
            exporter.JOB_UID_VARIABLE: job.metadata.uid,
            exporter.ATTEMPT_VARIABLE: str(attempt),
            exporter.POLL_SECONDS_VARIABLE: f"{self.poll_seconds:g}",
            exporter.METRICS_PORT_VARIABLE: str(self.metrics_port),
            exporter.PROGRESS_PORT_VARIABLE: str(self.progress_port),
        }
        stopping = job.spec.early_stopping
        if stopping is not None:
            values[exporter.METRIC_VARIABLE] = stopping.metric
            values[exporter.GOAL_VARIABLE] = stopping.goal.value
            if stopping.training_metric is not None:
                values[exporter.TRAINING_METRIC_VARIABLE] = stopping.training_metric
        millicores = {"containerName": TRAINER_CONTAINER, "resource": "requests.cpu", "divisor": "1m"}
        return [
            *({"name": name, "value": value} for name, value in values.items()),
            {"name": exporter.POD_UID_VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
            {"name": exporter.TRAINER_MILLICORES_VARIABLE, "valueFrom": {"resourceFieldRef": millicores}},
        ]

    def _annotate(self, metadata: JsonObject) -> None:
        """Have Prometheus find it, unless the user has it find something else in the pod: there is one address only."""
        own = metadata.get("annotations") or {}
        if not any(name.startswith(_SCRAPE) for name in own):
            scrape = {**exporter.SCRAPE_ANNOTATIONS, f"{_SCRAPE}port": str(self.metrics_port)}
            metadata["annotations"] = {**own, **scrape}

    def _let_report(self, spec: JsonObject) -> None:
        """Tell the trainer where it may report; what the user has set stays, for each protocol apart."""
        trainer = next(each for each in spec["containers"] if each["name"] == TRAINER_CONTAINER)
        own, mounts = trainer.get("env") or [], trainer.get("volumeMounts") or []
        set_by_user = {variable["name"] for variable in own}
        server = f"http://127.0.0.1:{self.progress_port}"
        ours = {exporter.PROGRESS_URL_VARIABLE: f"{server}{exporter.PROGRESS_PATH}"}
        has_mount = any(each.get("mountPath", "").rstrip("/") == exporter.PROGRESS_MOUNT_PATH for each in mounts)
        kubeflow = {
            exporter.KUBEFLOW_URL_VARIABLE: f"{server}{exporter.KUBEFLOW_PATH}",
            exporter.KUBEFLOW_TOKEN_VARIABLE: f"{exporter.PROGRESS_MOUNT_PATH}/{exporter.PROGRESS_TOKEN_FILE}",
        }
        if not has_mount and set_by_user.isdisjoint(kubeflow):
            ours |= kubeflow
            token = {"path": exporter.PROGRESS_TOKEN_FILE, "fieldRef": {"fieldPath": "metadata.uid"}}
            volume = {"name": exporter.PROGRESS_VOLUME, "downwardAPI": {"items": [token]}}
            spec["volumes"] = [*(spec.get("volumes") or ()), volume]
            mount = {"name": exporter.PROGRESS_VOLUME, "mountPath": exporter.PROGRESS_MOUNT_PATH, "readOnly": True}
            trainer["volumeMounts"] = [*mounts, mount]
        # First, so that the user's variables may refer to them.
        trainer["env"] = [
            *({"name": name, "value": value} for name, value in ours.items() if name not in set_by_user),
            *own,
        ]
