"""What is created for one attempt of a TrainingJob: an Indexed Job of gated pods, and a headless Service.

Names follow from the job's name and the attempt's number, so that applying them again after a crash changes
nothing. Owner references let the cluster's garbage collector remove everything with the TrainingJob.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ballast.act.agent_access import AgentAccess
from ballast.act.exporter_sidecar import ExporterSidecar
from ballast.api import energyprofile, nodepower
from ballast.api.base import API_VERSION, ApiModel
from ballast.api.finalreading import FINALIZER
from ballast.api.labels import (
    ATTEMPT_LABEL,
    COMPLETION_INDEX,
    EMPTY,
    EMPTY_CONDITION,
    JOB_LABEL,
    JOB_UID_LABEL,
)
from ballast.api.nodepower import NodePowerSpec
from ballast.api.podtemplate import PLACEMENT_GATE, TRAINER_CONTAINER
from ballast.api.trainingjob import Launcher, TrainingJob
from ballast.decide.actions import MarkNode

JsonObject = dict[str, Any]

LOST_NODE_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
"""The taints that Kubernetes puts on a node that does not answer, and by which it evicts pods in the end."""

MASTER_PORT = 29500
"""torchrun's default rendezvous port."""


def attempt_name(job: TrainingJob, attempt: int) -> str:
    """Return the name of the attempt's Job; pods' hostnames are this and their index."""
    return f"{job.metadata.name}-{attempt}"


def needs_service(job: TrainingJob) -> bool:
    """Return whether the pods have to find each other by name."""
    return job.spec.launcher is Launcher.TORCHRUN


def service_name(job: TrainingJob) -> str:
    """Return the name of the job's Service, the same for all attempts."""
    return f"{job.metadata.name}-gang"


def service(job: TrainingJob) -> JsonObject:
    """Return the headless Service that gives each pod of the gang a DNS name.

    One for all attempts: a pod's own name tells its attempt, and nothing of it has to be removed between them.
    """
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": service_name(job),
            "namespace": job.metadata.namespace,
            "labels": {JOB_LABEL: job.metadata.name, JOB_UID_LABEL: job.metadata.uid},
            "ownerReferences": [owner_reference(job)],
        },
        "spec": {
            "clusterIP": "None",
            "selector": {JOB_UID_LABEL: job.metadata.uid},
            # The rendezvous needs the names before any pod could be ready.
            "publishNotReadyAddresses": True,
            "ports": [{"name": "torchrun", "port": MASTER_PORT, "targetPort": MASTER_PORT}],
        },
    }


def workload(
    job: TrainingJob,
    attempt: int,
    node_lost_seconds: int = 60,
    agent: AgentAccess | None = None,
    exporter: ExporterSidecar | None = None,
) -> JsonObject:
    """Return the Indexed Job whose pods wait behind Ballast's scheduling gate.

    A Job's template never changes: where `agent` has, applying it to a Job that is there is refused (422).

    Args:
        job: the job.
        attempt: the number of the attempt.
        node_lost_seconds: how long the pods stay on a node that is not ready or does not answer, where the template
            does not say so itself; Kubernetes' own default is 300.
        agent: how the pods reach their nodes' agents; None where there are none.
        exporter: what stands beside the trainer; None for pods of which nothing is known.
    """
    template = copy.deepcopy(job.spec.template)
    metadata = template.get("metadata") or {}
    metadata["labels"] = {**(metadata.get("labels") or {}), **_labels(job, attempt)}
    template["metadata"] = metadata
    spec = template["spec"]
    spec["restartPolicy"] = "Never"
    spec["terminationGracePeriodSeconds"] = job.spec.checkpoint_grace_seconds
    spec["schedulingGates"] = [*(spec.get("schedulingGates") or ()), {"name": PLACEMENT_GATE}]
    spec["tolerations"] = [*(spec.get("tolerations") or ()), *_tolerations(spec, node_lost_seconds)]
    if needs_service(job):
        spec["subdomain"] = service_name(job)
        for container in spec["containers"]:
            if container["name"] == TRAINER_CONTAINER:
                own = container.get("env") or []
                set_by_user = {variable["name"] for variable in own}
                ours = [v for v in torchrun_variables(job, attempt) if v["name"] not in set_by_user]
                container["env"] = [*ours, *own]
    if agent is not None:
        agent.grant(template)
    if exporter is not None:
        exporter.add(template, job, attempt, agent)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": _metadata(job, attempt),
        "spec": {
            "completionMode": "Indexed",
            "completions": job.spec.replicas,
            "parallelism": job.spec.replicas,
            # One lost pod ends the gang: the others would wait for it in a collective.
            "backoffLimit": 0,
            # A pod that is being deleted still holds its GPUs: don't put another beside it.
            "podReplacementPolicy": "Failed",
            "template": template,
        },
    }


def _tolerations(spec: Mapping[str, Any], seconds: int) -> list[JsonObject]:
    """Return for how long the pods put up with a node that is lost, unless the template tolerates that itself."""
    own = spec.get("tolerations") or ()
    return [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
        for key in LOST_NODE_TAINTS
        if not any(
            toleration.get("key") in {key, None, ""} and toleration.get("effect") in {"NoExecute", None, ""}
            for toleration in own
        )
    ]


def torchrun_variables(job: TrainingJob, attempt: int) -> list[JsonObject]:
    """Return the variables that torchrun reads in place of its command-line options."""
    master = f"{attempt_name(job, attempt)}-0.{service_name(job)}"
    rank = {"fieldRef": {"fieldPath": f"metadata.annotations['{COMPLETION_INDEX}']"}}
    return [
        {"name": "PET_NNODES", "value": str(job.spec.replicas)},
        {"name": "PET_NPROC_PER_NODE", "value": str(max(job.spec.gpus_per_replica, 1))},
        {"name": "PET_NODE_RANK", "valueFrom": rank},
        {"name": "PET_MASTER_ADDR", "value": master},
        {"name": "PET_MASTER_PORT", "value": str(MASTER_PORT)},
        # torchrun passes SIGTERM on to its workers, and kills them after 30 s unless it is told to wait.
        {"name": "TORCH_ELASTIC_SHUTDOWN_TIMEOUT", "value": str(_shutdown_seconds(job))},
    ]


def _shutdown_seconds(job: TrainingJob) -> int:
    """Return how long torchrun waits for its workers to save: a little less than the kubelet waits for torchrun."""
    grace = job.spec.checkpoint_grace_seconds
    return max(grace - max(grace // 10, 1), 1)


def ungate_patch(pod_uid: str, gate_position: int, affinity: Mapping[str, Any] | None, node: str) -> list[JsonObject]:
    """Return the JSON patch that binds a gated pod to a node and takes the gate off, in one step.

    It tests the UID and that the gate still stands where it was seen, so that it can succeed once only. (Server-side
    apply would answer 200 and leave the gate.)
    """
    gate = f"/spec/schedulingGates/{gate_position}"
    return [
        {"op": "test", "path": "/metadata/uid", "value": pod_uid},
        {"op": "test", "path": f"{gate}/name", "value": PLACEMENT_GATE},
        {"op": "add", "path": "/spec/affinity", "value": with_node(affinity, node)},
        {"op": "remove", "path": gate},
    ]


def with_node(affinity: Mapping[str, Any] | None, node: str) -> JsonObject:
    """Return the affinity with the node required beside what it requires already.

    The terms of a node selector are alternatives: the node is added to each of them.
    """
    merged: JsonObject = copy.deepcopy(dict(affinity or {}))
    node_affinity = merged.setdefault("nodeAffinity", {})
    required = node_affinity.setdefault("requiredDuringSchedulingIgnoredDuringExecution", {})
    by_name = {"key": "metadata.name", "operator": "In", "values": [node]}
    terms = required.get("nodeSelectorTerms") or [{}]
    required["nodeSelectorTerms"] = [
        {**term, "matchFields": [*(term.get("matchFields") or ()), by_name]} for term in terms
    ]
    return merged


def release_patch(pod_uid: str, finalizer_position: int) -> list[JsonObject]:
    """Return the JSON patch that takes Ballast's finalizer from a pod; those of others stay.

    It tests the UID and that the finalizer still stands where it was seen: Kubernetes' own come and go beside it.
    """
    finalizer = f"/metadata/finalizers/{finalizer_position}"
    return [
        {"op": "test", "path": "/metadata/uid", "value": pod_uid},
        {"op": "test", "path": finalizer, "value": FINALIZER},
        {"op": "remove", "path": finalizer},
    ]


def _metadata(job: TrainingJob, attempt: int) -> JsonObject:
    return {
        "name": attempt_name(job, attempt),
        "namespace": job.metadata.namespace,
        "labels": _labels(job, attempt),
        "ownerReferences": [owner_reference(job)],
    }


def _labels(job: TrainingJob, attempt: int) -> dict[str, str]:
    return {
        JOB_LABEL: job.metadata.name,
        JOB_UID_LABEL: job.metadata.uid,
        ATTEMPT_LABEL: str(attempt),
    }


def owner_reference(job: TrainingJob) -> JsonObject:
    """Return the reference that makes an object go when the TrainingJob goes."""
    return {
        "apiVersion": API_VERSION,
        "kind": "TrainingJob",
        "name": job.metadata.name,
        "uid": job.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def node_power(node: str, node_uid: str, spec: NodePowerSpec) -> JsonObject:
    """Return a node's NodePower; the garbage collector removes it with the node."""
    owner = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": node_uid}
    return {
        "apiVersion": API_VERSION,
        "kind": nodepower.KIND,
        "metadata": {"name": node, "ownerReferences": [owner]},
        "spec": spec.to_manifest(),
    }


def node_mark(action: MarkNode) -> JsonObject:
    """Return the strategic merge patch of a node's status that marks it; the API server takes labels with it."""
    condition: JsonObject = {"type": EMPTY_CONDITION, "$patch": "delete"}
    if action.empty is not None:
        condition = {
            "type": EMPTY_CONDITION,
            "status": str(action.empty),
            "reason": action.reason,
            "message": action.message,
            "lastTransitionTime": _moment(action.since),
            "lastHeartbeatTime": _moment(action.told_at),
        }
    labels = {EMPTY: "true" if action.empty else None}
    return {"metadata": {"uid": action.node_uid, "labels": labels}, "status": {"conditions": [condition]}}


def _moment(seconds: float) -> str:
    """Return seconds since the epoch as Kubernetes' own kinds have times: in whole seconds."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def energy_profile(namespace: str, name: str, version: str | None, **part: ApiModel) -> JsonObject:
    """Return an EnergyProfile with one part of it, `spec` or `status`, which are written apart.

    Args:
        namespace: of the profile.
        name: of the profile.
        version: in which it must still be; None for one that is to be made.
        **part: what is written.
    """
    metadata = {"name": name, "namespace": namespace}
    return {
        "apiVersion": API_VERSION,
        "kind": energyprofile.KIND,
        "metadata": metadata if version is None else {**metadata, "resourceVersion": version},
        **{field: model.to_manifest() for field, model in part.items()},
    }
