"""A kubelet's pod-resources socket: a real gRPC server that tells what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import grpc.aio

from ballast.agent.node.pod_resources import Held
from ballast.agent.node.podresources_pb2 import (
    ContainerDevices,
    ContainerResources,
    ListPodResourcesRequest,
    ListPodResourcesResponse,
    PodResources,
)


class KubeletSocket:
    """What the kubelet tells.

    Attributes:
        answer: to List.
        refuses: a status with which it answers instead.
        hangs: whether it never answers.
    """

    def __init__(self, held: Sequence[Held] = ()) -> None:
        self.answer = answer(held)
        self.refuses: grpc.StatusCode | None = None
        self.hangs = False
        self.calls = 0

    async def list(
        self,
        _: ListPodResourcesRequest,
        context: grpc.aio.ServicerContext[ListPodResourcesRequest, ListPodResourcesResponse],
    ) -> ListPodResourcesResponse:
        self.calls += 1
        if self.hangs:
            await asyncio.Event().wait()
        if self.refuses is not None:
            await context.abort(self.refuses, "so it is")
        return self.answer

    @asynccontextmanager
    async def serving(self, socket: Path) -> AsyncIterator[None]:
        """Serve on a socket until the end of the block, and take the socket away."""
        server = grpc.aio.server()
        method = grpc.unary_unary_rpc_method_handler(
            self.list,
            request_deserializer=ListPodResourcesRequest.FromString,
            response_serializer=ListPodResourcesResponse.SerializeToString,
        )
        handlers = grpc.method_handlers_generic_handler("v1.PodResourcesLister", {"List": method})
        server.add_generic_rpc_handlers((handlers,))
        server.add_insecure_port(f"unix://{socket}")
        await server.start()
        try:
            yield
        finally:
            await server.stop(grace=None)
            socket.unlink(missing_ok=True)  # noqa: ASYNC240 - at once


def answer(held: Sequence[Held]) -> ListPodResourcesResponse:
    """Return what the kubelet tells of containers that hold devices."""
    return ListPodResourcesResponse(
        pod_resources=[
            PodResources(
                name=one.name,
                namespace=one.namespace,
                containers=[
                    ContainerResources(
                        name=one.container,
                        devices=[ContainerDevices(resource_name=one.resource, device_ids=one.device_ids)],
                    )
                ],
            )
            for one in held
        ]
    )
