"""The agent's own NodePower: what the operator asks, and the status that the agent writes, and nothing else of it.

What must hold: the status that is written last is the newest; nothing is written while nothing changes, and not more
often than `status_seconds`; an agent whose NodePower is not there yet waits for the operator to make it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import ValidationError

from ballast.api.base import API_VERSION
from ballast.api.nodepower import KIND, PLURAL, InvalidNodePower, NodePower, NodePowerSpec
from ballast.api.nodestatus import NodePowerStatus
from ballast.errors import BallastError
from ballast.kube import JsonObject, KubeClient

logger = logging.getLogger(__name__)

COLLECTION = f"/apis/{API_VERSION}/{PLURAL}"
RETRY_SECONDS = 2.0
FILE = "spec.json"


class OwnNodePower:
    """The NodePower of this node, kept by a watch.

    Args:
        folder: on the node's disk, where the newest spec is kept: an agent that starts while the API server is away
            goes by it, so that `Hold` holds.
        on_change: called when the operator asks for something else, or for the first time.
    """

    def __init__(self, folder: Path, on_change: Callable[[], None] = lambda: None) -> None:
        self._file = folder / FILE
        self._on_change = on_change
        self.spec: NodePowerSpec | None = self._kept()
        """What is asked; None while no agent of this node has ever seen its NodePower."""
        self.generation: int | None = None
        self.uid: str | None = None
        """Of the object that there is: one that was deleted and made again is another, and has no status."""
        self.is_known = False
        """Whether this agent has seen it."""
        self.exists = asyncio.Event()

    def listed(self, objects: Sequence[JsonObject]) -> None:
        """Take in a complete list of at most one."""
        for obj in objects:
            self._take(obj)
        if not objects:
            self._lose()

    def changed(self, kind: str, obj: JsonObject) -> None:
        """Take in a change."""
        if kind == "DELETED":
            self._lose()
        else:
            self._take(obj)

    def _lose(self) -> None:
        """Take in that it is gone: somebody deleted it, and then nothing is asked until the operator makes it again."""
        self.exists.clear()
        self.generation = self.uid = None
        if self.spec is not None and self.spec != NodePowerSpec():
            self._ask(NodePowerSpec())

    def _take(self, obj: JsonObject) -> None:
        try:
            power = NodePower.parse(obj)
        except InvalidNodePower as error:
            logger.error("the NodePower cannot be read; what it asked before holds", extra={"error": str(error)})  # noqa: TRY400
            return
        self.exists.set()
        is_other = power.metadata.uid != self.uid
        self.generation, self.uid = power.metadata.generation, power.metadata.uid
        if is_other or not self.is_known or power.spec != self.spec:
            self.is_known = True
            self._ask(power.spec)

    def _ask(self, spec: NodePowerSpec) -> None:
        if spec != self.spec:
            self.spec = spec
            self._keep()
        self._on_change()

    def _keep(self) -> None:
        """Keep the spec; what cannot be kept is asked for again after a restart."""
        fresh = self._file.with_suffix(".new")
        try:
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh.write_text(self.spec.model_dump_json(by_alias=True) if self.spec is not None else "")
            fresh.replace(self._file)
        except OSError as error:
            logger.warning("cannot keep the NodePower's spec", extra={"file": str(self._file), "error": str(error)})

    def _kept(self) -> NodePowerSpec | None:
        try:
            return NodePowerSpec.model_validate_json(self._file.read_bytes())
        except (OSError, ValidationError):
            return None


class StatusWriter:
    """Writes the status when it has changed, the newest one only.

    Args:
        kube: the client.
        own: the NodePower.
        node: the node's name.
        seconds: the shortest time between two writes.
    """

    def __init__(self, kube: KubeClient, own: OwnNodePower, node: str, seconds: float) -> None:
        self._kube = kube
        self._own = own
        self._node = node
        self._seconds = seconds
        self._newest: NodePowerStatus | None = None
        self._written: tuple[str | None, NodePowerStatus] | None = None  # to the object of that UID
        self._news = asyncio.Event()

    def put(self, status: NodePowerStatus) -> None:
        """Have a status written soon, in place of one that was not written yet."""
        self._newest = status
        if not self._is_written():
            self._news.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._news.wait()
            await self._own.exists.wait()
            self._news.clear()
            try:
                await self.write()
            except BallastError as error:
                logger.warning("cannot write the NodePower's status; trying again", extra={"error": str(error)})
                self._written = None
                self._news.set()
                await asyncio.sleep(RETRY_SECONDS)
            if not self._is_written():  # another one was put meanwhile
                self._news.set()
            await asyncio.sleep(self._seconds)

    async def write(self) -> None:
        """Write the newest status now, if it is not written yet.

        Raises:
            BallastError: it could not be written.
        """
        uid, status = self._own.uid, self._newest
        if status is None or self._is_written():
            return
        body = {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "metadata": {"name": self._node},
            "status": status.to_manifest(),
        }
        await self._kube.apply(f"{COLLECTION}/{self._node}/status", body)
        self._written = uid, status

    def _is_written(self) -> bool:
        return self._newest is None or self._written == (self._own.uid, self._newest)
