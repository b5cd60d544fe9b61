"""What the webhook says to a TrainingJob, from what was found out about it; a pure function.

It judges what the object cannot know about itself: what the API server would say of its pods, quotas, references, and
what Ballast does not support. What must hold: whatever is not known counts in the job's favour, because the operator
tells it by a condition later; and every refusal names the field, the value and the remedy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from ballast.api.trainingjob import TrainingJob
from ballast.decide.resources import CPU, GPU, PODS
from ballast.observe.parsing import UnsupportedTemplate, amount, gang_request, pod_request

JsonObject = Mapping[str, Any]

_TEMPLATE = "spec.template.spec"
# What the API server says for programmers, and what of it is for people.
_REWORDED = (
    (r"^(pods|Pod) \"[^\"]*\" is (forbidden|invalid): ", ""),
    (r"^Pod in version \"v1\" cannot be handled as a Pod: (strict decoding error: )?", ""),
    (
        r"^json: cannot unmarshal (\w+) into Go struct field \w+\.(spec|metadata)(\S*) of type \*?(\S+)$",
        r"\2\3: is \1, must be \4",
    ),
    (r"^\[(.*)\]$", r"\1"),
)
# Devices that train, by the names of their vendors' plugins; GPU itself is left out where this is used.
_OTHER_GPUS = re.compile(
    r"nvidia\.com/.+|.+/.*gpu.*|gpu\.intel\.com/.+|habana\.ai/.+|aws\.amazon\.com/neuron.*|google\.com/tpu"
)
MAX_WARNING_LENGTH = 250  # the API server may cut longer ones


class Say(Enum):
    """What an answer of the API server about a pod means."""

    QUOTA_EXCEEDED = auto()
    """A quota is used up now, or too small for good."""
    NO_SERVICE_ACCOUNT = auto()
    """It may be created later."""
    NO_PRIORITY_CLASS = auto()
    """The name is wrong, or it comes later: nobody can tell in which place it should queue."""
    UNKNOWN = auto()
    """Nothing about the pod."""
    REFUSED = auto()
    """No pod like this can ever be created as things stand."""


@dataclass(frozen=True)
class Answer:
    """The API server's refusal of a pod.

    Attributes:
        status: The HTTP status.
        message: Its words.
    """

    status: int
    message: str

    @property
    def says(self) -> Say:
        """What it means."""
        if self.status == 403:
            for pattern, meaning in _FORBIDDEN:
                if re.search(pattern, self.message):
                    return meaning
            return Say.REFUSED
        if self.status in {400, 422}:
            return Say.UNKNOWN if "does not support dry run" in self.message else Say.REFUSED
        return Say.UNKNOWN  # the namespace is going, the API server is busy


_FORBIDDEN = (
    (r"exceeded quota: ", Say.QUOTA_EXCEEDED),
    (r"error looking up service account ", Say.NO_SERVICE_ACCOUNT),
    (r"no PriorityClass with name ", Say.NO_PRIORITY_CLASS),
    (r"User \".*\" cannot create resource", Say.UNKNOWN),  # the operator's own rights
    (r"because it is being terminated", Say.UNKNOWN),
)


@dataclass(frozen=True)
class Quota:
    """A ResourceQuota.

    Attributes:
        name: Its name.
        hard: Its limits.
        scoped: Whether it counts some of the namespace's pods only.
    """

    name: str
    hard: Mapping[str, str]
    scoped: bool


@dataclass(frozen=True)
class Findings:
    """What was found out about a job.

    Attributes:
        pod: One of its pods' spec, as the API server would create it; None if it would not, or is not known.
        answers: What the API server has against it.
        missing_claims: PersistentVolumeClaims that it names and that are not there.
        quotas: Those of its namespace.
    """

    pod: JsonObject | None = None
    answers: tuple[Answer, ...] = ()
    missing_claims: tuple[str, ...] = ()
    quotas: tuple[Quota, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """What the user is told.

    Attributes:
        refusals: Why the job is not taken; it is, if there are none.
        warnings: What the user should know, whether or not it is taken.
    """

    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether the job is taken."""
        return not self.refusals

    @property
    def message(self) -> str:
        """All refusals in one text."""
        return "; ".join(self.refusals)


def judge(job: TrainingJob, findings: Findings) -> Verdict:
    """Returns what to say about a job."""
    refusals = [*_unsupported(job), *_other_gpus(job)]
    warnings = [
        f"{_TEMPLATE}.volumes: there is no PersistentVolumeClaim {claim!r} yet; pods wait until there is"
        for claim in findings.missing_claims
    ]
    for answer in findings.answers:
        refused, warned = _retell(job, answer)
        refusals += refused
        warnings += warned
    for refusal in _too_large_for_quotas(job, findings):
        if refusal not in refusals:
            refusals.append(refusal)
    warnings += _preemption(findings.pod)
    distinct = dict.fromkeys(refusals)
    return Verdict(tuple(distinct), tuple(_shortened(warning) for warning in dict.fromkeys(warnings)))


def in_template(message: str) -> str:
    """Returns the API server's words about a pod as words about the template that it is made from."""
    told = message
    for pattern, words in _REWORDED:
        told = re.sub(pattern, words, told)
    told = re.sub(r"(?<![\w./])(spec|metadata)\.(?=[a-zA-Z])", r"spec.template.\1.", told)
    return told if "spec.template." in told else f"{_TEMPLATE}: {told}"


def _unsupported(job: TrainingJob) -> Iterator[str]:
    try:
        gang_request(job)
    except UnsupportedTemplate as error:
        yield str(error)


def _other_gpus(job: TrainingJob) -> Iterator[str]:
    spec = job.spec.template["spec"]
    for field in ("containers", "initContainers"):
        for container in spec.get(field) or ():
            declared = container.get("resources") or {}
            names = {name for kind in ("limits", "requests") for name in declared.get(kind) or {}}
            for name in sorted(names):
                if name != GPU and _OTHER_GPUS.fullmatch(name):
                    yield (
                        f"{_TEMPLATE}.{field}[{container['name']}].resources: {name} is not supported, because Ballast "
                        f"places and meters whole GPUs; ask for {GPU} in the trainer's limits"
                    )


def _retell(job: TrainingJob, answer: Answer) -> tuple[list[str], list[str]]:
    match answer.says:
        case Say.REFUSED:
            return [in_template(answer.message)], []
        case Say.NO_PRIORITY_CLASS:
            return [_no_priority_class(job.spec.template["spec"].get("priorityClassName"))], []
        case Say.NO_SERVICE_ACCOUNT:
            name = job.spec.template["spec"].get("serviceAccountName") or "default"
            return [], [f"{_TEMPLATE}.serviceAccountName: there is no ServiceAccount {name!r} yet; pods need it"]
        case Say.QUOTA_EXCEEDED:
            return _quota_exceeded(job, answer.message)
        case Say.UNKNOWN:
            return [], []


def _no_priority_class(name: object) -> str:
    return (
        f"{_TEMPLATE}.priorityClassName: there is no PriorityClass {name!r}; choose one of those that kubectl get "
        "priorityclasses shows, or create it first"
    )


def _quota_exceeded(job: TrainingJob, message: str) -> tuple[list[str], list[str]]:
    """One pod exceeds what is left: refuse if the whole gang exceeds the limit itself, else warn."""
    found = re.search(r"exceeded quota: (\S+), requested: (\S+), used: (\S+), limited: (\S+)", message)
    if found is None:
        return [], [in_template(message)]
    name, requested, _, limited = found.groups()
    limits = dict(_pairs(limited))
    for resource, quantity in _pairs(requested):
        need = _quota_amount(resource, quantity) * job.spec.replicas
        if resource in limits and need > _quota_amount(resource, limits[resource]):
            return [_too_large(job, name, resource, quantity, limits[resource])], []
    return [], [f"ResourceQuota {name} has no room for it now ({message[found.start() :]}); it waits until there is"]


def _too_large_for_quotas(job: TrainingJob, findings: Findings) -> Iterator[str]:
    """Gangs that even an unused quota would not hold; a scoped quota may not count them."""
    needs = _counted(findings.pod or job.spec.template["spec"])
    for quota in findings.quotas:
        if quota.scoped:
            continue
        for resource, limit in quota.hard.items():
            each = needs.get(resource)
            if each is not None and each * job.spec.replicas > _quota_amount(resource, limit):
                yield _too_large(job, quota.name, resource, _quantity(resource, each), limit)


def _too_large(job: TrainingJob, quota: str, resource: str, each: str, limit: str) -> str:
    return (
        f"spec.replicas: {job.spec.replicas} pods with {resource} of {each} each are more than ResourceQuota {quota} "
        f"ever allows in namespace {job.metadata.namespace} ({limit}); ask for less, or have the quota raised"
    )


def _counted(spec: JsonObject) -> dict[str, int]:
    """What one pod counts for in a quota, by the names that quotas use."""
    try:
        requests, limits = pod_request(spec), pod_request(_with_limits_for_requests(spec))
    except (UnsupportedTemplate, ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return {}  # said elsewhere
    counted = {"count/pods": 1, PODS: 1}
    for name, value in requests.items():
        if name != PODS:
            counted[f"requests.{name}"] = value
            counted[name] = value
    counted.update({f"limits.{name}": value for name, value in limits.items() if name != PODS})
    return counted


def _with_limits_for_requests(spec: JsonObject) -> JsonObject:
    def limited(container: JsonObject) -> JsonObject:
        return {**container, "resources": {"requests": (container.get("resources") or {}).get("limits") or {}}}

    return {
        **spec,
        "resources": {},
        "containers": [limited(each) for each in spec.get("containers") or ()],
        "initContainers": [limited(each) for each in spec.get("initContainers") or ()],
    }


def _preemption(pod: JsonObject | None) -> Iterator[str]:
    if pod is None or not pod.get("priorityClassName") or pod.get("preemptionPolicy") == "Never":
        return
    yield (
        f"PriorityClass {pod['priorityClassName']} lets kube-scheduler evict other pods behind Ballast's back; "
        "use a class with preemptionPolicy: Never"
    )


def _pairs(text: str) -> Iterable[tuple[str, str]]:
    for pair in text.split(","):
        name, _, value = pair.partition("=")
        yield name, value


def _quota_amount(resource: str, quantity: str) -> int:
    return amount(CPU if _is_cpu(resource) else resource, quantity)


def _quantity(resource: str, value: int) -> str:
    return f"{value}m" if _is_cpu(resource) and value % 1000 else str(value // 1000 if _is_cpu(resource) else value)


def _is_cpu(resource: str) -> bool:
    return resource in {CPU, f"requests.{CPU}", f"limits.{CPU}"}


def _shortened(warning: str) -> str:
    return warning if len(warning) <= MAX_WARNING_LENGTH else warning[: MAX_WARNING_LENGTH - 1] + "…"
