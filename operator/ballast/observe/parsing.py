"""From the API server's JSON to what `decide` works on; pure functions, no state.

Only what is used is kept: thousands of pods and jobs stay small in memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

from kubernetes.utils.quantity import parse_quantity

from ballast.api import exporter, finalreading
from ballast.api.jobenergy import OperatingPointMode
from ballast.api.labels import (
    ATTEMPT_LABEL,
    COMPLETION_INDEX,
    GPU_COUNT_LABEL,
    GPU_MODEL,
    GPU_PRODUCT_LABEL,
    GPU_REPLICAS_LABEL,
    JOB_UID_LABEL,
    MIXED_GPUS,
)
from ballast.api.podtemplate import PLACEMENT_GATE, TRAINER_CONTAINER
from ballast.api.trainingjob import TrainingJob
from ballast.decide.gang_request import GangRequest, Requirement, SelectorTerm, Toleration
from ballast.decide.gpu_models import GpuModel, gpu_model
from ballast.decide.learning.profile_keys import profile_key
from ballast.decide.node import Taint
from ballast.decide.resources import CPU, GPU, PODS, Resources, add
from ballast.decide.snapshot import Pod, Stuck, Workload
from ballast.errors import UserError
from ballast.observe.pod_ends import began, ended_at, ended_before, last_words, seconds
from ballast.observe.priorities import PriorityClass

JsonObject = Mapping[str, Any]

MAX_QUANTITY = 2**63 - 1
"""The largest that Kubernetes takes."""


class UnsupportedTemplate(UserError):
    """A template that asks for something Ballast cannot take into account when it chooses nodes."""


def amount(resource: str, quantity: object) -> int:
    """Return a Kubernetes quantity as an integer: millicores for CPU, else whole units, rounded up.

    Raises:
        UnsupportedTemplate: it is not a quantity, or a negative one: reserving that would give capacity away.
    """
    wrong = UnsupportedTemplate(f"{resource}: {quantity!r} is not a quantity; write for example 500m or 2Gi")
    try:
        value: Decimal = parse_quantity(str(quantity))  # type: ignore[no-untyped-call]
    except (ValueError, ArithmeticError) as error:
        raise wrong from error
    if not value.is_finite() or value.copy_abs() > MAX_QUANTITY:  # before int() writes 1e999999999 out in full
        raise wrong
    if value < 0:
        raise UnsupportedTemplate(f"{resource}: {quantity!r} is negative; write 0 or more")
    return int((value * 1000 if resource == CPU else value).to_integral_value(rounding="ROUND_CEILING"))


def resources(quantities: JsonObject | None) -> dict[str, int]:
    """Return a resource list (requests, allocatable) as integers."""
    return {name: amount(name, quantity) for name, quantity in (quantities or {}).items()}


def pod_request(spec: JsonObject) -> dict[str, int]:
    """Return what a pod counts for on its node, as kube-scheduler counts it.

    The sum of its containers and native sidecars, or what an init container needs while it runs beside the
    sidecars before it, whichever is larger, plus the overhead, plus one of `pods`.
    """
    main: Resources = {}
    for container in spec.get("containers") or ():
        main = add(main, _container_request(container))
    sidecars: Resources = {}
    start: dict[str, int] = {}
    for container in spec.get("initContainers") or ():
        request = _container_request(container)
        if container.get("restartPolicy") == "Always":
            sidecars = add(sidecars, request)
            needed: Resources = sidecars
        else:
            needed = add(sidecars, request)
        start = {name: max(start.get(name, 0), needed.get(name, 0)) for name in {*start, *needed}}
    run = add(main, sidecars)
    total = {name: max(run.get(name, 0), start.get(name, 0)) for name in {*run, *start}}
    # What the pod asks for as a whole counts in place of what its containers ask for.
    whole = spec.get("resources") or {}
    total = {**resources(whole.get("limits")), **total, **resources(whole.get("requests"))}
    return add(add(total, resources(spec.get("overhead"))), {PODS: 1})


def _container_request(container: JsonObject) -> dict[str, int]:
    declared = container.get("resources") or {}
    # The API server defaults requests from limits when it creates a pod; a template has not been there yet.
    return {**resources(declared.get("limits")), **resources(declared.get("requests"))}


NO_RESOURCES: Resources = {}


def gang_request(job: TrainingJob, sidecar: Resources = NO_RESOURCES) -> GangRequest:
    """Return what the job's gang asks of the cluster.

    Args:
        job: the job.
        sidecar: what the exporter asks for in each pod that carries one.

    Raises:
        UnsupportedTemplate: the template asks for what placement cannot honour yet; names field and remedy.
    """
    try:
        request = _gang_request(job, sidecar)
        hash(request)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        # The API server keeps whatever stands in a template: one job's mistake must not stop the others.
        raise UnsupportedTemplate(
            f"spec.template.spec: not the shape of a pod's spec ({type(error).__name__}: {error}); "
            "compare with kubectl explain pod.spec"
        ) from error
    return request


def _gang_request(job: TrainingJob, sidecar: Resources) -> GangRequest:
    spec: JsonObject = job.spec.template["spec"]
    for labels in ("labels", "annotations"):
        ((job.spec.template.get("metadata") or {}).get(labels) or {}).items()
    affinity: JsonObject = spec.get("affinity") or {}
    for kind in ("podAffinity", "podAntiAffinity"):
        if (affinity.get(kind) or {}).get("requiredDuringSchedulingIgnoredDuringExecution"):
            raise UnsupportedTemplate(
                f"spec.template.spec.affinity.{kind}: a required term is not supported yet, because Ballast chooses "
                "the nodes; use nodeSelector or nodeAffinity, or make the term preferred"
            )
    for constraint in spec.get("topologySpreadConstraints") or ():
        if constraint.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule":
            raise UnsupportedTemplate(
                "spec.template.spec.topologySpreadConstraints: whenUnsatisfiable DoNotSchedule is not supported yet, "
                "because Ballast chooses the nodes; use ScheduleAnyway"
            )
    if spec.get("resourceClaims"):
        raise UnsupportedTemplate(
            "spec.template.spec.resourceClaims: dynamic resource allocation is not supported yet; "
            f"ask for {GPU} in the trainer's limits"
        )
    _check_names(spec)
    required = (affinity.get("nodeAffinity") or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or {}
    point = job.spec.energy.operating_point
    per_pod = pod_request(spec)
    # It runs from the first to the last; where the pod asks as a whole, the exporter is a part of that.
    if exporter.is_carried_by(spec) and not spec.get("resources"):
        per_pod = add(per_pod, sidecar)
    return GangRequest(
        replicas=job.spec.replicas,
        per_pod=tuple(sorted(per_pod.items())),
        node_selector=tuple(sorted((spec.get("nodeSelector") or {}).items())),
        node_terms=tuple(_term(term) for term in required.get("nodeSelectorTerms") or ()),
        tolerations=tuple(_toleration(toleration) for toleration in spec.get("tolerations") or ()),
        objective=job.spec.energy.objective,
        max_slowdown_percent=job.spec.energy.max_slowdown_percent,
        workload=(job.metadata.namespace, profile_key(job)) if dict(per_pod).get(GPU) else None,
        work_seconds=_number(job.spec.energy.expected_duration),
        has_deadline=job.spec.energy.deadline is not None,
        power_limit_watts=_number(point.power_limit),
        is_tuned=point.mode is OperatingPointMode.AUTO,
        namespace=job.metadata.namespace,
    )


def _number(quantity: Decimal | None) -> float | None:
    return None if quantity is None else float(quantity)


def _check_names(spec: JsonObject) -> None:
    """Refuse what the exporter is called, also where pods get none: it may come before the job begins."""
    for field, names in (
        ("initContainers", {exporter.CONTAINER}),
        ("containers", {exporter.CONTAINER}),
        ("volumes", exporter.VOLUMES),
    ):
        for each in spec.get(field) or ():
            if each.get("name") in names:
                raise UnsupportedTemplate(
                    f"spec.template.spec.{field}[{each['name']}]: the name is that of what Ballast adds to the pod; "
                    "choose another name"
                )


def _term(term: JsonObject) -> SelectorTerm:
    return SelectorTerm(
        _requirements(term.get("matchExpressions") or ()),
        _requirements(term.get("matchFields") or ()),
    )


def _requirements(expressions: Iterable[JsonObject]) -> tuple[Requirement, ...]:
    return tuple(Requirement(e["key"], e["operator"], tuple(e.get("values") or ())) for e in expressions)


def _toleration(toleration: JsonObject) -> Toleration:
    return Toleration(
        toleration.get("key") or "",
        toleration.get("operator") or "Equal",
        toleration.get("value") or "",
        toleration.get("effect") or "",
    )


def node_taints(node: JsonObject) -> tuple[Taint, ...]:
    """Return the node's taints."""
    taints = (node.get("spec") or {}).get("taints") or ()
    return tuple(Taint(t["key"], t.get("value") or "", t["effect"]) for t in taints)


def node_gpu_model(node: JsonObject) -> GpuModel | None:
    """Return the node's GPU model, or None if it offers no GPUs."""
    allocatable = resources((node.get("status") or {}).get("allocatable"))
    if not allocatable.get(GPU):
        return None
    labels = node["metadata"].get("labels") or {}
    return gpu_model(labels.get(GPU_PRODUCT_LABEL) or labels.get(GPU_MODEL) or "unlabelled")


def node_mixes_gpus(node: JsonObject) -> bool:
    """Return whether the node's GPUs are of several models, so that nobody can tell which one a pod gets.

    Its agent says so if it has one. GPU feature discovery labels one model and how many GPUs are of it; the device
    plugin offers all of them.
    """
    labels = node["metadata"].get("labels") or {}
    if labels.get(GPU_MODEL) == MIXED_GPUS:
        return True
    count, replicas = labels.get(GPU_COUNT_LABEL) or "", labels.get(GPU_REPLICAS_LABEL) or "1"
    if not (count.isdecimal() and replicas.isdecimal()):
        return False
    offered = resources((node.get("status") or {}).get("capacity")).get(GPU, 0)
    return offered > int(count) * max(int(replicas), 1)


def node_is_ready(node: JsonObject) -> bool:
    """Return whether the node's Ready condition is True."""
    conditions = (node.get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def training_job_uid(child: JsonObject) -> str | None:
    """Return the UID of the TrainingJob that a Job or pod belongs to, or None if it is not one of Ballast's.

    Anybody may write labels: what does not carry them as Ballast writes them is somebody else's.
    """
    labels = child["metadata"].get("labels") or {}
    numbers = (labels.get(ATTEMPT_LABEL) or "", labels.get(COMPLETION_INDEX) or "0")
    return labels.get(JOB_UID_LABEL) if all(number.isdecimal() for number in numbers) else None


def training_pod(pod: JsonObject) -> Pod:
    """Return a pod of one of Ballast's Jobs."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    gates = [gate["name"] for gate in spec.get("schedulingGates") or ()]
    position = gates.index(PLACEMENT_GATE) if PLACEMENT_GATE in gates else None
    exit_code, message = _trainer_end(status)
    deleted_at, grace = metadata.get("deletionTimestamp"), metadata.get("deletionGracePeriodSeconds")
    finalizers = metadata.get("finalizers") or ()
    held = finalreading.FINALIZER in finalizers
    return Pod(
        uid=metadata["uid"],
        name=metadata["name"],
        index=int(metadata["labels"].get(COMPLETION_INDEX) or 0),
        attempt=int(metadata["labels"][ATTEMPT_LABEL]),
        node=spec.get("nodeName"),
        phase=status.get("phase") or "Pending",
        deleting=deleted_at is not None and not ended_before(status, seconds(deleted_at) - (grace or 0)),
        gate_position=position,
        affinity=spec.get("affinity") if position is not None else None,
        request=tuple(sorted(pod_request(spec).items())) if position is not None else None,
        exit_code=exit_code,
        message=message,
        disruption=_disruption(status),
        stuck=_stuck(status) if status.get("phase", "Pending") == "Pending" else None,
        # The API server writes the moment at which the grace is over, not that of the request.
        grace_over_at=seconds(deleted_at) if deleted_at is not None else None,
        forced=deleted_at is not None and grace == 0,
        held=held,
        finalizer_position=finalizers.index(finalreading.FINALIZER) if held else 0,
        began=began(status),
        ended_at=ended_at(status),
        last_words=last_words(metadata, status),
    )


# What the kubelet, or a controller, says of a pod that it ended on its own account.
_ENDED_BY_CLUSTER = frozenset(
    {"Evicted", "Preempting", "NodeLost", "NodeShutdown", "Terminated", "Shutdown", "NodeAffinity", "OutOfcpu"}
)
# Container states that another node would not put right.
_CANNOT_START = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "ImageInspectError",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
_CRASHES = "CrashLoopBackOff"


def _disruption(status: JsonObject) -> str:
    for condition in status.get("conditions") or ():
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            return _told(": ".join(filter(None, (condition.get("reason"), condition.get("message")))))
    reason = status.get("reason") or ""
    if reason in _ENDED_BY_CLUSTER or reason.startswith(("OutOf", "UnexpectedAdmission")):
        return _told(": ".join(filter(None, (reason, status.get("message")))))
    return ""


def _stuck(status: JsonObject) -> Stuck | None:
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason, said = waiting.get("reason") or "", _told(waiting.get("message") or "")
        if container.get("name") == exporter.CONTAINER:
            # Ours, and not the job's fault: it is tried again, and does not count against its retries.
            if reason in _CANNOT_START or reason == _CRASHES:
                return Stuck(reason, f"container {exporter.CONTAINER}: {said}", by_itself=False)
        elif reason in _CANNOT_START:
            return Stuck(reason, said, by_itself=True)
    for condition in status.get("conditions") or ():
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            reason = condition.get("reason") or "Unschedulable"
            if reason != "SchedulingGated":
                # What does not fit stands at its beginning; then come preemption and the like.
                return Stuck(reason, " ".join((condition.get("message") or "").split())[:200], by_itself=False)
    return None


def _trainer_end(status: JsonObject) -> tuple[int | None, str]:
    for container in status.get("containerStatuses") or ():
        ended = (container.get("state") or {}).get("terminated")
        if container["name"] == TRAINER_CONTAINER and ended:
            return ended.get("exitCode"), _told(ended.get("message") or ended.get("reason") or "")
    return None, _told(status.get("message") or status.get("reason") or "")


def _told(message: str) -> str:
    """Return a termination message as one short line; a JSON result is not an explanation."""
    try:
        return "" if isinstance(json.loads(message), dict) else message.strip()[-200:]
    except (ValueError, RecursionError):  # whoever trains writes it
        return " ".join(message.split())[-200:]


def workload(job: JsonObject) -> Workload:
    """Return the `batch/v1` Job of an attempt."""
    conditions = {c["type"]: c for c in (job.get("status") or {}).get("conditions") or () if c["status"] == "True"}
    failed = conditions.get("Failed")
    return Workload(
        uid=job["metadata"]["uid"],
        name=job["metadata"]["name"],
        attempt=int(job["metadata"]["labels"][ATTEMPT_LABEL]),
        complete="Complete" in conditions,
        failed=failed is not None,
        message=(failed or conditions.get("FailureTarget") or {}).get("message") or "",
        failing="FailureTarget" in conditions,
        deleting="deletionTimestamp" in job["metadata"],
    )


def priority_class(obj: JsonObject) -> PriorityClass:
    """Return a PriorityClass."""
    return PriorityClass(
        name=obj["metadata"]["name"],
        value=int(obj.get("value") or 0),
        is_default=bool(obj.get("globalDefault")),
    )


def refusal(events: Iterable[JsonObject]) -> str:
    """Return what the first event says of a pod that could not be created; empty if there is none."""
    return next((_told(event.get("message") or "") for event in events), "")
