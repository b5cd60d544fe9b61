"""What a training pod gets so that it can ask its node's agent what it uses: a token, whom to trust, and where.

The exporter asks; so may the trainer, which is told of its pod and of no other.

The token is a projected one for the agents only, which the kubelet renews and which is worth nothing once the pod is
gone; the authority comes through an annotation, so that no ConfigMap has to be kept in each namespace. Both work under
restricted Pod Security and without a mounted token of the service account. What must hold: where the user's template
has something of that name already, it stays as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ballast.api.agentserving import (
    AUDIENCE,
    CA_ANNOTATION,
    CA_FILE,
    HOST_VARIABLE,
    MOUNT_PATH,
    NODE_VARIABLE,
    PORT_VARIABLE,
    TOKEN_FILE,
)
from ballast.api.exporter import AGENT_VOLUME
from ballast.api.podtemplate import TRAINER_CONTAINER

JsonObject = dict[str, Any]

VOLUME = "ballast-agent"
TOKEN_SECONDS = 3600
"""How long a token is valid; the kubelet renews it after four fifths of that."""


@dataclass(frozen=True)
class AgentAccess:
    """How pods reach the agents.

    Attributes:
        ca_bundle: The authorities that sign agents' certificates, as PEM.
        port: The agents' port on each node.
    """

    ca_bundle: str
    port: int

    def grant(self, template: JsonObject) -> None:
        """Add to a pod template what its trainer needs to ask; what the user has set stays."""
        metadata, spec = template.setdefault("metadata", {}), template["spec"]
        metadata["annotations"] = {**(metadata.get("annotations") or {}), CA_ANNOTATION: self.ca_bundle}
        trainer = next(each for each in spec["containers"] if each["name"] == TRAINER_CONTAINER)
        own = trainer.get("env") or []
        set_by_user = {variable["name"] for variable in own}
        # First, so that the user's variables may refer to them.
        trainer["env"] = [*(each for each in self._variables() if each["name"] not in set_by_user), *own]
        volumes, mounts = spec.get("volumes") or [], trainer.get("volumeMounts") or []
        if any(each["name"] == VOLUME for each in volumes) or any(_is_there(each) for each in mounts):
            return
        spec["volumes"] = [*volumes, _volume(VOLUME)]
        trainer["volumeMounts"] = [*mounts, _mount(VOLUME)]

    def grant_exporter(self, template: JsonObject, exporter: JsonObject) -> None:
        """Add to a pod template, after `grant`, what a container of ours in it needs to ask.

        Args:
            template: gets a volume of its own for that only where the trainer has none of ours.
            exporter: the container.
        """
        spec = template["spec"]
        volumes = spec.get("volumes") or []
        name = VOLUME if _volume(VOLUME) in volumes else AGENT_VOLUME
        if name == AGENT_VOLUME:
            spec["volumes"] = [*volumes, _volume(name)]
        exporter["env"] = [*exporter.get("env", ()), *self._variables()]
        exporter["volumeMounts"] = [*exporter.get("volumeMounts", ()), _mount(name)]

    def _variables(self) -> list[JsonObject]:
        return [
            {"name": HOST_VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": "status.hostIP"}}},
            {"name": PORT_VARIABLE, "value": str(self.port)},
            {"name": NODE_VARIABLE, "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        ]


def _is_there(mount: JsonObject) -> bool:
    return bool(mount.get("mountPath", "").rstrip("/") == MOUNT_PATH)


def _mount(volume: str) -> JsonObject:
    return {"name": volume, "mountPath": MOUNT_PATH, "readOnly": True}


def _volume(name: str) -> JsonObject:
    token = {"audience": AUDIENCE, "expirationSeconds": TOKEN_SECONDS, "path": TOKEN_FILE}
    authority = {"path": CA_FILE, "fieldRef": {"fieldPath": f"metadata.annotations['{CA_ANNOTATION}']"}}
    sources = [{"serviceAccountToken": token}, {"downwardAPI": {"items": [authority]}}]
    return {"name": name, "projected": {"sources": sources}}
