"""A kubelet as a device plugin sees it: a registration socket, and calls to the plugin that registered."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

from tests.nvmlsim.protos import deviceplugin_pb2 as messages

PATIENCE_SECONDS = 20.0


class FakeKubelet:
    """Listens at `kubelet.sock` in a folder, and empties the folder first, as a kubelet that starts does."""

    def __init__(self, folder: Path) -> None:
        for old in folder.iterdir():
            old.unlink()
        self.registered: queue.Queue[messages.RegisterRequest] = queue.Queue()
        self._folder = folder
        self._server = grpc.server(ThreadPoolExecutor(2))
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Register": grpc.unary_unary_rpc_method_handler(
                self._register,
                request_deserializer=messages.RegisterRequest.FromString,
                response_serializer=messages.Empty.SerializeToString,
            )
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("v1beta1.Registration", handlers),))
        self._server.add_insecure_port(f"unix:{folder / 'kubelet.sock'}")
        self._server.start()
        self._channel: grpc.Channel | None = None

    def stop(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self._server.stop(grace=None).wait()

    def devices(self) -> Iterator[dict[str, str]]:
        """Each list of devices that the plugin sends: health by id."""
        for answer in self._call_stream():
            yield {device.id: device.health for device in answer.devices}

    def allocate(self, *ids: str) -> messages.ContainerAllocateResponse:
        """Ask for devices for one container."""
        call = self._plugin().unary_unary(
            "/v1beta1.DevicePlugin/Allocate",
            request_serializer=messages.AllocateRequest.SerializeToString,
            response_deserializer=messages.AllocateResponse.FromString,
        )
        container = messages.ContainerAllocateRequest(devices_ids=list(ids))
        answer = call(messages.AllocateRequest(container_requests=[container]), timeout=PATIENCE_SECONDS)
        (response,) = answer.container_responses
        return response

    def _call_stream(self) -> Iterator[messages.ListAndWatchResponse]:
        call = self._plugin().unary_stream(
            "/v1beta1.DevicePlugin/ListAndWatch",
            request_serializer=messages.Empty.SerializeToString,
            response_deserializer=messages.ListAndWatchResponse.FromString,
        )
        return iter(call(messages.Empty(), timeout=PATIENCE_SECONDS))

    def _plugin(self) -> grpc.Channel:
        if self._channel is None:
            endpoint = self.registered.get(timeout=PATIENCE_SECONDS).endpoint
            self._channel = grpc.insecure_channel(f"unix:{self._folder / endpoint}")
        return self._channel

    def _register(self, request: messages.RegisterRequest, _context: grpc.ServicerContext) -> messages.Empty:
        self.registered.put(request)
        return messages.Empty()
