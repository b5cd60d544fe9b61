"""`ballast uninstall`: before Ballast goes, every GPU is as it was found, and so is the cluster.

Agents put everything back by themselves when their pods are told to end. This sees to it while somebody still watches:
it stops the operator, lets the pods go that it kept for its ledger, takes its marks off empty nodes, asks nothing of
any node any more, waits until each agent confirms that, and then removes what the installer does not know of. What must
hold: nothing is removed before every node that can be reached has confirmed; no pod, and so no namespace, waits for an
operator that is not there any more; after a failure the same call goes on where it stopped. What users made stays, and
so do EnergyProfiles, which the operator made: they are data that were measured and cannot be had again for nothing.

It goes round and round in one step that can be repeated, because an operator that is ending may still write, and an API
server may be away. A node that is gone or cannot be reached is not waited for: its agent restores when its pod ends,
and a node that was switched off has forgotten its limits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Literal, Protocol

from ballast.act.manifests import node_mark, release_patch
from ballast.api import nodepower
from ballast.api.base import API_VERSION
from ballast.api.finalreading import FINALIZER
from ballast.api.labels import EMPTY, EMPTY_CONDITION, JOB_UID_LABEL
from ballast.api.nodepower import FreeGpus
from ballast.decide.actions import MarkNode
from ballast.errors import RetryableError
from ballast.kube import ApiRefused, JsonObject

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
OPERATOR = "ballast-operator"
OPERATOR_PODS = "app.kubernetes.io/name=ballast,app.kubernetes.io/component=operator"
SECRETS = ("ballast-webhook",)
"""Made by the operator, and so in no release."""

NODE_POWERS = f"/apis/{API_VERSION}/{nodepower.PLURAL}"
NODES = "/api/v1/nodes"
PODS = "/api/v1/pods"


class Api(Protocol):
    """What is needed of an API client."""

    def list_pages(
        self, path: str, label_selector: str | None = None, field_selector: str | None = None
    ) -> AsyncIterator[JsonObject]:
        """Yield a collection page by page."""
        ...

    async def get(self, path: str) -> JsonObject:
        """Read one object."""
        ...

    async def json_patch(self, path: str, operations: list[JsonObject]) -> JsonObject:
        """Apply a JSON patch."""
        ...

    async def merge(self, path: str, body: JsonObject) -> JsonObject:
        """Apply a strategic merge patch."""
        ...

    async def delete(
        self,
        path: str,
        uid: str,
        resource_version: str | None = None,
        propagation: Literal["Foreground", "Background", "Orphan"] = "Foreground",
    ) -> JsonObject | None:
        """Delete one object, if it is still the one meant; None if it was gone."""
        ...


async def uninstall(kube: Api, namespace: str, timeout_seconds: float) -> int:
    """Stop the operator, have every GPU put back, and remove what the operator made.

    Args:
        kube: a client with the rights for it.
        namespace: Ballast's.
        timeout_seconds: how long the nodes have; afterwards it is told which of them are not done.

    Returns:
        The process' exit code: 0 when all is done, 1 when something remains, and then nothing was removed.

    Raises:
        ApiRefused: a right is missing.
    """
    remaining = ["nothing is known yet"]
    try:
        async with asyncio.timeout(timeout_seconds):
            while True:
                try:
                    remaining = await _remaining(kube, namespace)
                    if not remaining:
                        await _remove_objects(kube, namespace)
                        break
                except RetryableError as error:
                    remaining = [f"the API server does not answer: {error}"]
                logger.info("waiting until every GPU is as it was found", extra={"remaining": remaining})
                await asyncio.sleep(POLL_SECONDS)
    except TimeoutError:
        logger.error(  # noqa: TRY400 - where the time ran out tells nothing
            "not everything is as it was found; nothing was removed, and the operator stays stopped. Look at the agents"
            " of these nodes and run this again, or go on without it (helm uninstall --no-hooks): agents put their"
            " GPUs back when they end",
            extra={"remaining": remaining, "timeout_seconds": timeout_seconds},
        )
        return 1
    logger.info("every GPU is as it was found")
    return 0


async def _remaining(kube: Api, namespace: str) -> list[str]:
    """Ask for all that is still to be done; return in words what is not done yet."""
    await _stop_operator(kube, namespace)
    nodes = [node async for node in _objects(kube, NODES)]
    lost = {node["metadata"]["name"]: _is_lost(node) for node in nodes}
    remaining = [
        f"pod {pod['metadata']['name']} of the operator still runs"
        async for pod in _objects(kube, f"/api/v1/namespaces/{namespace}/pods", OPERATOR_PODS)
        if not _has_ended(pod) and not lost.get(pod["spec"].get("nodeName") or "", False)
    ]
    if not remaining:  # else the operator might want to enter what they used, and mark the nodes again
        remaining += await _release_pods(kube)
        await _unmark(kube, nodes)
    async for found in _objects(kube, NODE_POWERS):
        name = found["metadata"]["name"]
        node_power = await _ask_for_nothing(kube, found) if _asks(found) else found
        # A node that is not there any more has no GPUs to restore.
        if node_power is not None and not lost.get(name, True) and (problem := _unrestored(node_power)):
            remaining.append(f"node {name}: {problem}")
    return remaining


async def _stop_operator(kube: Api, namespace: str) -> None:
    path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{OPERATOR}/scale"
    try:
        await kube.json_patch(path, [{"op": "add", "path": "/spec/replicas", "value": 0}])
    except ApiRefused as error:
        if error.status != 404:
            raise


async def _release_pods(kube: Api) -> list[str]:
    """Take Ballast's finalizer from every training pod; return in words which ones still have it."""
    remaining = []
    async for pod in _objects(kube, PODS, JOB_UID_LABEL):
        metadata = pod["metadata"]
        finalizers = metadata.get("finalizers") or []
        if FINALIZER not in finalizers:
            continue
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        try:
            await kube.json_patch(path, release_patch(metadata["uid"], finalizers.index(FINALIZER)))
        except ApiRefused as error:
            if error.is_final:  # somebody else's finalizer has just gone: it is tried again
                remaining.append(f"pod {metadata['namespace']}/{metadata['name']} still has the finalizer {FINALIZER}")
            elif error.status != 404:
                raise
    return remaining


async def _unmark(kube: Api, nodes: Iterable[JsonObject]) -> None:
    """Take label and condition off nodes: nobody would any more when they are not empty."""
    for node in nodes:
        metadata, conditions = node["metadata"], (node.get("status") or {}).get("conditions") or ()
        if EMPTY in (metadata.get("labels") or {}) or any(each["type"] == EMPTY_CONDITION for each in conditions):
            name = metadata["name"]
            try:
                await kube.merge(f"{NODES}/{name}/status", node_mark(MarkNode(name, metadata["uid"])))
            except ApiRefused as error:
                if error.status not in {404, 409}:  # gone, or another one has taken the name
                    raise


async def _ask_for_nothing(kube: Api, node_power: JsonObject) -> JsonObject | None:
    """Clear what the operator asked for; None if the object is gone."""
    try:
        return await kube.json_patch(_path(node_power), [{"op": "add", "path": "/spec", "value": {}}])
    except ApiRefused as error:
        if error.status != 404:
            raise
        return None


async def _remove_objects(kube: Api, namespace: str) -> None:
    async for node_power in _objects(kube, NODE_POWERS):
        await kube.delete(_path(node_power), node_power["metadata"]["uid"], propagation="Background")
    for name in SECRETS:
        path = f"/api/v1/namespaces/{namespace}/secrets/{name}"
        try:
            secret = await kube.get(path)
        except ApiRefused as error:
            if error.status != 404:
                raise
            continue
        await kube.delete(path, secret["metadata"]["uid"], propagation="Background")


def _asks(node_power: Mapping[str, Any]) -> bool:
    """Whether a spec would have an agent change anything. Read as plain JSON: one that is not valid is cleared, too."""
    spec = node_power.get("spec") or {}
    return bool(spec.get("pods")) or spec.get("freeGpus", FreeGpus.LEAVE) != FreeGpus.LEAVE


def _unrestored(node_power: Mapping[str, Any]) -> str:
    """What a node's agent has not confirmed, in words; empty when it has."""
    status = node_power.get("status") or {}
    if not status:
        return ""  # no agent was ever here
    if capped := status.get("cappedGpus") or 0:
        return f"{capped} GPUs are not as they were found"
    if (status.get("observedGeneration") or 0) < node_power["metadata"].get("generation", 0):
        return "its agent has not seen yet that nothing is asked of it"
    return ""


def _is_lost(node: Mapping[str, Any]) -> bool:
    """Whether a node cannot be reached: the control plane hears nothing of its kubelet."""
    conditions = (node.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Ready" and each["status"] == "Unknown" for each in conditions)


def _has_ended(pod: Mapping[str, Any]) -> bool:
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def _path(node_power: Mapping[str, Any]) -> str:
    return f"{NODE_POWERS}/{node_power['metadata']['name']}"


async def _objects(kube: Api, path: str, label_selector: str | None = None) -> AsyncIterator[JsonObject]:
    """Yield a collection's objects; none if there is no such kind (any more)."""
    try:
        async for page in kube.list_pages(path, label_selector):
            for each in page["items"]:
                yield each
    except ApiRefused as error:
        if error.status != 404:
            raise
