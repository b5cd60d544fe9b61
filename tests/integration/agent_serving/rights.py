"""What an agent and an operator may do where only certificates and tokens are in play; the chart grants the same."""

from __future__ import annotations

from typing import Any

JsonObject = dict[str, Any]

CERTIFICATES = "certificates.k8s.io"
REQUESTS = "certificatesigningrequests"
EVERYWHERE: dict[str, list[JsonObject]] = {
    "ballast-agent": [
        {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]},
        {"apiGroups": [CERTIFICATES], "resources": [REQUESTS], "verbs": ["create", "get"]},
    ],
    "ballast-operator": [
        {"apiGroups": [CERTIFICATES], "resources": [REQUESTS], "verbs": ["list", "watch"]},
        {
            "apiGroups": [CERTIFICATES],
            "resources": [f"{REQUESTS}/approval", f"{REQUESTS}/status"],
            "verbs": ["update"],
        },
        {
            "apiGroups": [CERTIFICATES],
            "resources": ["signers"],
            "resourceNames": ["ballast.dev/agent-serving"],
            "verbs": ["approve", "sign"],
        },
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["list"]},
    ],
}
IN_ITS_NAMESPACE: JsonObject = {
    "apiGroups": [""],
    "resources": ["secrets"],
    "resourceNames": ["ballast-agent-ca"],
    "verbs": ["get", "patch"],
}


def objects(namespace: str) -> list[JsonObject]:
    """Return the service accounts and their rights; those of the whole cluster are named after the namespace."""
    rbac = "rbac.authorization.k8s.io"
    made: list[JsonObject] = []
    for account, rules in EVERYWHERE.items():
        name = f"{namespace}-{account}"
        subject = {"kind": "ServiceAccount", "name": account, "namespace": namespace}
        made += [
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": account, "namespace": namespace}},
            {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules},
            {
                "apiVersion": f"{rbac}/v1",
                "kind": "ClusterRoleBinding",
                "metadata": {"name": name},
                "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": name},
                "subjects": [subject],
            },
        ]
    own = {"name": "ballast-operator", "namespace": namespace}
    return [
        *made,
        {"apiVersion": f"{rbac}/v1", "kind": "Role", "metadata": own, "rules": [IN_ITS_NAMESPACE]},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "RoleBinding",
            "metadata": own,
            "roleRef": {"apiGroup": rbac, "kind": "Role", "name": "ballast-operator"},
            "subjects": [{"kind": "ServiceAccount", **own}],
        },
        # As in the chart: empty, for the operator to fill.
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "ballast-agent-ca", "namespace": namespace}},
    ]
