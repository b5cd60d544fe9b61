"""Finds out what the webhook judges a TrainingJob by: mostly, what the API server says to one of its pods.

A pod as the first attempt would have it is created as a dry run, with the operator's own template, so that validation,
LimitRange, quota, Pod Security and whatever policies a cluster has are asked and not imitated. What must hold: nothing
is ever created, and what cannot be found out is left out.
"""

from __future__ import annotations

import asyncio
import copy
import logging
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from ballast.act import manifests
from ballast.act.exporter_sidecar import ExporterSidecar
from ballast.api import exporter as exporters
from ballast.api.trainingjob import TrainingJob
from ballast.kube import ApiRefused, KubeClient
from ballast.serve.admission import Answer, Findings, Quota, Say

logger = logging.getLogger(__name__)

JsonObject = dict[str, Any]

MAX_CLAIMS = 8
"""PersistentVolumeClaims that are looked up for a job; more are not."""


class Kube(Protocol):
    """The requests that it takes."""

    async def get(self, path: str) -> JsonObject:
        """Read one object, or a collection."""
        ...

    async def dry_run(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Be told what creating an object would give; a field that does not exist is an error."""
        ...


class AdmissionClient(KubeClient):
    """The webhook's own client: its requests wait for no others, and never create anything but its Secret."""

    async def dry_run(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Be told what creating an object would give; a field that does not exist is an error."""
        return await self._request("POST", path, body, query=[("dryRun", "All"), ("fieldValidation", "Strict")])


async def find_out(kube: Kube, job: TrainingJob, exporter: ExporterSidecar | None = None) -> Findings:
    """Ask the API server about a job; of what fails nothing is known.

    Args:
        kube: the API server.
        job: the job.
        exporter: what its pods will have beside the trainer, which quotas and policies concern as well.

    Raises:
        RetryableError: the API server is away or overloaded.
    """
    namespace = job.metadata.namespace
    async with asyncio.TaskGroup() as tasks:
        pod = tasks.create_task(_pod(kube, job, exporter))
        quotas = tasks.create_task(_quotas(kube, namespace))
        claims = {name: tasks.create_task(_exists(kube, namespace, name)) for name in _claims(job)}
    spec, answers = pod.result()
    return Findings(spec, answers, tuple(name for name, there in claims.items() if not there.result()), quotas.result())


def pod_of(job: TrainingJob, exporter: ExporterSidecar | None = None) -> JsonObject:
    """Return a pod of the job's first attempt."""
    template = manifests.workload(job, 1, exporter=exporter)["spec"]["template"]
    containers = template["spec"].get("initContainers")
    if containers:
        # Ours last: errors name containers by their place, and people look it up in their own template.
        containers.sort(key=lambda each: each.get("name") == exporters.CONTAINER)
    metadata = {
        **template["metadata"],
        "generateName": f"{manifests.attempt_name(job, 1)}-0-",
        "namespace": job.metadata.namespace,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}


async def _pod(
    kube: Kube, job: TrainingJob, exporter: ExporterSidecar | None
) -> tuple[JsonObject | None, tuple[Answer, ...]]:
    """Ask for a pod; where only a reference is missing, ask again without, to hear of all else in the same answer."""
    path = f"/api/v1/namespaces/{job.metadata.namespace}/pods"
    try:
        pod = pod_of(job, exporter)
    except (AttributeError, KeyError, TypeError):
        return None, ()  # not the shape of a template, which is said without the API server
    answers: list[Answer] = []
    while True:
        try:
            created = await kube.dry_run(path, pod)
        except ApiRefused as error:
            answer = Answer(error.status, str(error).removeprefix(f"{error.status} {error.reason}: "))
            answers.append(answer)
            smaller = _without_reference(pod, answer)
            if smaller is None:
                return None, tuple(answers)
            pod = smaller
        else:
            return created.get("spec"), tuple(answers)


def _without_reference(pod: JsonObject, answer: Answer) -> JsonObject | None:
    """Return the pod without the reference that the answer is about; None if there is nothing to leave out."""
    fields = {
        Say.NO_SERVICE_ACCOUNT: ("serviceAccountName", "serviceAccount"),
        Say.NO_PRIORITY_CLASS: ("priorityClassName",),
    }.get(answer.says, ())
    if not any(field in pod["spec"] for field in fields):
        return None
    smaller = copy.deepcopy(pod)
    for field in fields:
        smaller["spec"].pop(field, None)
    return smaller


async def _quotas(kube: Kube, namespace: str) -> tuple[Quota, ...]:
    try:
        found = await kube.get(f"/api/v1/namespaces/{namespace}/resourcequotas")
    except ApiRefused as error:
        logger.debug("quotas cannot be read", extra={"error": str(error)})
        return ()
    return tuple(
        Quota(
            name=quota["metadata"]["name"],
            hard=(quota.get("spec") or {}).get("hard") or {},
            scoped=bool((quota.get("spec") or {}).get("scopes") or (quota.get("spec") or {}).get("scopeSelector")),
        )
        for quota in found["items"]
    )


async def _exists(kube: Kube, namespace: str, claim: str) -> bool:
    try:
        await kube.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{claim}")
    except ApiRefused as error:
        return error.status != 404
    return True


def _claims(job: TrainingJob) -> list[str]:
    return list(dict.fromkeys(_claim_names(job.spec.template["spec"])))[:MAX_CLAIMS]


def _claim_names(spec: Mapping[str, Any]) -> Iterator[str]:
    volumes = spec.get("volumes")
    for volume in volumes if isinstance(volumes, list) else ():
        claim = volume.get("persistentVolumeClaim") if isinstance(volume, dict) else None
        name = claim.get("claimName") if isinstance(claim, dict) else None
        # What is no name would change the path that is asked for.
        if isinstance(name, str) and name and all(c.isascii() and (c.isalnum() or c in "-.") for c in name):
            yield name
