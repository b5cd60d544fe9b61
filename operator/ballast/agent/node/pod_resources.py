"""Which containers hold which devices, as the kubelet tells on its pod-resources socket.

What must hold: an answer is the kubelet's whole list as of now, or it is a typed error; nothing is remembered in
between, so that a kubelet which restarts is simply asked again. The kubelet names pods by namespace and name only;
`holders_by_gpu` joins them with the UIDs that a watch of the node's pods knows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc
import grpc.aio

from ballast.agent.device import MigDevice
from ballast.agent.node.holders import Holder
from ballast.agent.node.podresources_pb2 import ListPodResourcesRequest, ListPodResourcesResponse
from ballast.errors import RetryableError, UserError

LIST = "/v1.PodResourcesLister/List"
TIMEOUT_SECONDS = 5.0
LARGEST_ANSWER_BYTES = 16 * 2**20  # what the kubelet's own clients take; gRPC's default is 4 MiB
LONGEST_BACKOFF_MILLISECONDS = 1000

_OPTIONS = (
    ("grpc.max_receive_message_length", LARGEST_ANSWER_BYTES),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", LONGEST_BACKOFF_MILLISECONDS),
    ("grpc.enable_http_proxy", 0),
)


class PodResourcesUnavailable(RetryableError):
    """The kubelet did not answer: it is down, restarts, or takes too long."""


class PodResourcesRefused(UserError):
    """The kubelet answers, and will not tell."""


@dataclass(frozen=True, slots=True)
class Held:
    """Devices of one resource that one container holds.

    Attributes:
        resource: as in `nvidia.com/gpu`.
        device_ids: as the device plugin calls them.
    """

    namespace: str
    name: str
    container: str
    resource: str
    device_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DeviceId:
    """A device as NVIDIA's device plugin names it.

    Attributes:
        uuid: of the GPU, or of the MIG device.
        replica: which slice of its time; None if time is not sliced.
    """

    uuid: str
    replica: int | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `GPU-…`, `GPU-…::3`, `MIG-…` or `MIG-…::3`; whatever else comes is a UUID as it stands."""
        uuid, separator, replica = text.rpartition("::")
        if separator and uuid and replica.isascii() and replica.isdigit():
            return cls(uuid, int(replica))
        return cls(text)


def holders_by_gpu(
    held: Iterable[Held],
    uid_of: Callable[[str, str], str | None],
    gpus: Mapping[str, Iterable[MigDevice]],
) -> dict[str, tuple[Holder, ...]]:
    """Return the pods that hold each GPU, by the GPU's UUID; a GPU that nobody holds is not there.

    Args:
        held: what the kubelet told; what is no GPU of `gpus` is passed over.
        uid_of: a pod's UID by namespace and name; None if the pod is not known (yet).
        gpus: the node's GPUs by UUID, with their MIG devices.
    """
    migs = {mig.uuid: (gpu, mig) for gpu, parts in gpus.items() for mig in parts}
    found: dict[str, dict[tuple[str, str | None], Holder]] = {}
    for item in held:
        uid = None
        for text in item.device_ids:
            uuid = DeviceId.parse(text).uuid
            if uuid not in gpus and uuid not in migs:
                continue
            uid = uid or uid_of(item.namespace, item.name)
            if uid is None:
                break
            if uuid in migs:
                gpu, mig = migs[uuid]
                holder = Holder(uid, uuid, mig.slices, mig.slices_of_gpu)
            else:
                gpu, holder = uuid, Holder(uid)
            found.setdefault(gpu, {})[uid, holder.mig_device] = holder
    return {
        gpu: tuple(holders[key] for key in sorted(holders, key=lambda key: (key[0], key[1] or "")))
        for gpu, holders in found.items()
    }


class PodResources:
    """The kubelet's pod-resources socket; close it, or use it as an async context manager.

    Args:
        socket: the kubelet's; it need not be there yet.
        timeout_seconds: for one answer.
    """

    def __init__(self, socket: Path, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._socket = socket
        self._timeout_seconds = timeout_seconds
        self._channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connection; the next `list` opens another."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def list(self) -> tuple[Held, ...]:
        """Ask who holds what.

        Raises:
            PodResourcesUnavailable: no answer; ask again.
            PodResourcesRefused: the kubelet will not tell.
        """
        if self._channel is None:
            # The authority of a UNIX socket is its path, which some servers refuse.
            options = [*_OPTIONS, ("grpc.default_authority", "localhost")]
            self._channel = grpc.aio.insecure_channel(f"unix://{self._socket.absolute()}", options=options)
        call = self._channel.unary_unary(
            LIST,
            request_serializer=ListPodResourcesRequest.SerializeToString,
            response_deserializer=ListPodResourcesResponse.FromString,
        )
        try:
            answer: ListPodResourcesResponse = await call(ListPodResourcesRequest(), timeout=self._timeout_seconds)
        except grpc.aio.AioRpcError as error:
            raise self._typed(error) from error
        return tuple(
            Held(pod.namespace, pod.name, container.name, devices.resource_name, tuple(devices.device_ids))
            for pod in answer.pod_resources
            for container in pod.containers
            for devices in container.devices
        )

    def _typed(self, error: grpc.aio.AioRpcError) -> PodResourcesUnavailable | PodResourcesRefused:
        code, details = error.code(), error.details() or ""
        if code in {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.UNAUTHENTICATED}:
            return PodResourcesRefused(
                f"the kubelet's pod-resources socket {self._socket} refuses List of version v1: {code.name} {details}; "
                "Ballast needs a kubelet of Kubernetes 1.20 or later, and the socket itself mounted into the agent"
            )
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            details = f"no answer in {self._timeout_seconds:g} s"
        return PodResourcesUnavailable(
            f"the kubelet's pod-resources socket {self._socket} gives no answer: {code.name} {details}; "
            "is the kubelet running, and is the folder of its socket mounted into the agent?"
        )
