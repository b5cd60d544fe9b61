"""Rights in words: `patch nodepowers.ballast.dev/status`, `get secrets ballast-webhook`."""

from __future__ import annotations

from typing import Any

from tests.e2e.kube import Kube


def may(kube: Kube, words: str, namespace: str) -> bool:
    """Whether the API server would let this client do it in a namespace."""
    verb, what, *names = words.split(" ")
    resource, _, subresource = what.partition("/")
    plural, _, group = resource.partition(".")
    attributes = {"verb": verb, "resource": plural, "group": group, "subresource": subresource, "namespace": namespace}
    review = kube.create(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {**attributes, "name": "".join(names)}},
        },
    )
    allowed: bool = review["status"]["allowed"]
    return allowed


def granted(role: dict[str, Any]) -> set[str]:
    """What a role grants."""
    return {
        " ".join([verb, in_group(resource, group), *([name] if name else [])])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames") or [""]
    }


def in_group(resource: str, group: str) -> str:
    """A resource with its API group."""
    plural, slash, subresource = resource.partition("/")
    return plural + (f".{group}" if group else "") + slash + subresource
