"""What pods, agents and the operator agree on, so that a pod can ask its node's agent and know that it is the agent.

A pod asks `https://<host IP>:<port>/v1/readings` with its own token, and trusts what the operator's authority signed.
The agent asks the API server for a certificate of `SIGNER`; the leading operator signs it for that agent's node only.
"""

from __future__ import annotations

AUDIENCE = "ballast-agent"
"""Of the service-account token with which a pod asks."""

READINGS_PATH = "/v1/readings"
"""GET: the asking pod's `readings.PodReadings`."""

SIGNER = "ballast.dev/agent-serving"
"""The `signerName` of agents' CertificateSigningRequests."""

CA_ANNOTATION = "ballast.dev/agent-ca"
"""On training pods: the authorities that sign agents' certificates, as PEM."""

USAGES = frozenset({"digital signature", "server auth"})
"""What an agent's certificate is for, in the words of CertificateSigningRequests."""

MOUNT_PATH = "/var/run/secrets/ballast.dev/agent"
"""Where a training pod finds `TOKEN_FILE` and `CA_FILE`."""

TOKEN_FILE = "token"  # noqa: S105 - a name
CA_FILE = "ca.crt"

HOST_VARIABLE, PORT_VARIABLE, NODE_VARIABLE = "BALLAST_AGENT_HOST", "BALLAST_AGENT_PORT", "BALLAST_NODE_NAME"
"""Environment variables of training pods: the address of their node, the agent's port there, the node's name."""

POD_UID_EXTRA = "authentication.kubernetes.io/pod-uid"
POD_NAME_EXTRA = "authentication.kubernetes.io/pod-name"
NODE_NAME_EXTRA = "authentication.kubernetes.io/node-name"
"""What the API server tells of a pod's token beside its service account; the node since Kubernetes 1.30."""


def dns_name(node: str) -> str:
    """Return the name in the certificate of a node's agent; no DNS server knows it."""
    return f"{node}.agents.ballast.dev"
