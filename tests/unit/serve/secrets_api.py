"""An API server as far as keeping certificates asks of it: a Secret, a webhook configuration, and their versions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from ballast.kube import ApiRefused
from ballast.serve.trust import CONFIGURATION_NAME, SECRET_NAME

JsonObject = dict[str, Any]

CONFIGURATION = f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{CONFIGURATION_NAME}"
SECRETS = "/api/v1/namespaces/ballast-system/secrets"
SECRET = f"{SECRETS}/{SECRET_NAME}"


class SecretsApi:
    """Keeps objects by path; a create or patch that does not fit the present version is refused.

    Attributes:
        objects: By path.
        writes: What was written, in order.
        before_write: Called before each write is looked at, once: somebody else who is faster.
    """

    def __init__(self, *, installed: bool = True) -> None:
        self.objects: dict[str, JsonObject] = {}
        self.writes: list[str] = []
        self.before_write: Callable[[], None] | None = None
        self._version = 0
        if installed:
            webhooks = [{"name": "validate.ballast.dev", "clientConfig": {}}]
            self._put(CONFIGURATION, {"metadata": {"uid": "configuration"}, "webhooks": webhooks})

    async def get(self, path: str) -> JsonObject:
        if path not in self.objects:
            raise ApiRefused(404, "NotFound", path)
        return copy.deepcopy(self.objects[path])

    async def create(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        self._somebody_else()
        name = f"{path}/{body['metadata']['name']}"
        if name in self.objects:
            raise ApiRefused(409, "AlreadyExists", name)
        self.writes.append(name)
        return self._put(name, dict(body))

    async def json_patch(self, path: str, operations: list[JsonObject]) -> JsonObject:
        self._somebody_else()
        patched = copy.deepcopy(self.objects[path])
        for operation in operations:
            *parents, last = operation["path"].strip("/").split("/")
            target: Any = patched
            for part in parents:
                target = target[int(part) if isinstance(target, list) else part]
            if operation["op"] == "test" and target.get(last) != operation["value"]:
                raise ApiRefused(422, "Invalid", "the server rejected our request due to an error in our request")
            if operation["op"] == "add":
                target[last] = operation["value"]
        self.writes.append(path)
        return self._put(path, patched)

    def _somebody_else(self) -> None:
        meanwhile, self.before_write = self.before_write, None
        if meanwhile is not None:
            meanwhile()

    def _put(self, path: str, body: JsonObject) -> JsonObject:
        self._version += 1
        metadata = {**body.get("metadata", {}), "resourceVersion": str(self._version)}
        self.objects[path] = {**copy.deepcopy(body), "metadata": metadata}
        return copy.deepcopy(self.objects[path])
