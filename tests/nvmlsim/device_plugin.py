"""A device plugin that hands out simulated GPUs as NVIDIA's does, to a real kubelet over its real interface.

Whole GPUs (`GPU-…`), time slices of them (`GPU-…::0`) and MIG devices (`MIG-…`) are all `nvidia.com/gpu`. A container
gets the UUIDs in its environment, and the library and the boards' state as NVIDIA's container toolkit would mount the
driver: read-only. Invariants: a kubelet that restarts removes the plugin's socket and knows nothing of it, so the
plugin listens and registers anew whenever its own socket or the kubelet's is not the one it knew; the kubelet hears of
every change of the devices.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc

from tests.nvmlsim.protos import deviceplugin_pb2 as messages

RESOURCE = "nvidia.com/gpu"
KUBELET_FOLDER = Path("/var/lib/kubelet/device-plugins")
VISIBLE_DEVICES = "NVIDIA_VISIBLE_DEVICES"

_VERSION = "v1beta1"
_SOCKET = "nvmlsim.sock"
_LOOK_SECONDS = 0.3
_ANSWER_SECONDS = 5.0
#: Streams whose kubelet is gone hold a thread until they look.
_THREADS = 8

_logger = logging.getLogger(__name__)


class DevicePlugin:
    """A device plugin; nothing is handed out before the first `update`.

    Args:
        mounts: What a container gets to see: path in the container to path on the node.
        folder: The kubelet's folder of device plugins.
    """

    def __init__(self, mounts: Mapping[Path, Path], folder: Path = KUBELET_FOLDER) -> None:
        self._mounts = mounts
        self._folder = folder
        self._devices: Mapping[str, bool] = {}
        self._changed = threading.Condition()
        self._version = 0
        self._stopped = threading.Event()
        self._server: grpc.Server | None = None
        self._registered_with: tuple[int, ...] | None = None
        self._thread = threading.Thread(target=self._keep_registered, name="device-plugin", daemon=True)

    @property
    def socket(self) -> Path:
        """Where it listens."""
        return self._folder / _SOCKET

    def start(self) -> None:
        """Begin to register, and to register again, until it is stopped."""
        self._thread.start()

    def stop(self) -> None:
        """Stop serving and remove the socket."""
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()
        self._stop_serving()

    def update(self, devices: Mapping[str, bool]) -> None:
        """Say which devices there are.

        Args:
            devices: Whether it is healthy, by the id under which it is handed out.
        """
        with self._changed:
            if devices != self._devices:
                self._devices = dict(devices)
                self._version += 1
                self._changed.notify_all()

    def _keep_registered(self) -> None:
        while not self._stopped.wait(_LOOK_SECONDS):
            kubelet = _identity(self._folder / "kubelet.sock")
            if not self._version or kubelet is None or (kubelet == self._registered_with and self.socket.exists()):
                continue
            try:
                self._serve()
                self._register()
            except (grpc.RpcError, OSError, RuntimeError) as error:
                # The kubelet is starting, or has just gone: the next look finds out.
                _logger.warning("not registered with the kubelet", extra={"error": str(error)})
                self._registered_with = None
            else:
                self._registered_with = kubelet
                _logger.info("registered with the kubelet")

    def _serve(self) -> None:
        self._stop_serving()
        server = grpc.server(ThreadPoolExecutor(_THREADS, thread_name_prefix="device-plugin"))
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "GetDevicePluginOptions": grpc.unary_unary_rpc_method_handler(
                self._options,
                request_deserializer=messages.Empty.FromString,
                response_serializer=messages.DevicePluginOptions.SerializeToString,
            ),
            "ListAndWatch": grpc.unary_stream_rpc_method_handler(
                self._list_and_watch,
                request_deserializer=messages.Empty.FromString,
                response_serializer=messages.ListAndWatchResponse.SerializeToString,
            ),
            "Allocate": grpc.unary_unary_rpc_method_handler(
                self._allocate,
                request_deserializer=messages.AllocateRequest.FromString,
                response_serializer=messages.AllocateResponse.SerializeToString,
            ),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(f"{_VERSION}.DevicePlugin", handlers),))
        server.add_insecure_port(f"unix:{self.socket}")
        server.start()
        self._server = server

    def _stop_serving(self) -> None:
        if self._server is not None:
            self._server.stop(grace=None).wait()
            self._server = None
        self.socket.unlink(missing_ok=True)

    def _register(self) -> None:
        request = messages.RegisterRequest(version=_VERSION, endpoint=_SOCKET, resource_name=RESOURCE)
        with grpc.insecure_channel(f"unix:{self._folder / 'kubelet.sock'}") as channel:
            register = channel.unary_unary(
                f"/{_VERSION}.Registration/Register",
                request_serializer=messages.RegisterRequest.SerializeToString,
                response_deserializer=messages.Empty.FromString,
            )
            register(request, timeout=_ANSWER_SECONDS)

    def _options(self, _request: messages.Empty, _context: grpc.ServicerContext) -> messages.DevicePluginOptions:
        return messages.DevicePluginOptions()

    def _list_and_watch(
        self, _request: messages.Empty, context: grpc.ServicerContext
    ) -> Iterator[messages.ListAndWatchResponse]:
        told = -1
        while context.is_active() and not self._stopped.is_set():
            with self._changed:
                if self._version == told:
                    self._changed.wait(timeout=1.0)
                    continue
                told, devices = self._version, self._devices
            yield messages.ListAndWatchResponse(
                devices=[
                    messages.Device(id=name, health="Healthy" if healthy else "Unhealthy")
                    for name, healthy in devices.items()
                ]
            )

    def _allocate(self, request: messages.AllocateRequest, context: grpc.ServicerContext) -> messages.AllocateResponse:
        response = messages.AllocateResponse()
        for container in request.container_requests:
            unknown = [name for name in container.devices_ids if name not in self._devices]
            if unknown:
                context.abort(grpc.StatusCode.NOT_FOUND, f"there are no devices {', '.join(unknown)}")
            response.container_responses.append(
                messages.ContainerAllocateResponse(
                    envs={VISIBLE_DEVICES: ",".join(uuids(container.devices_ids))},
                    mounts=[
                        messages.Mount(container_path=str(inside), host_path=str(outside), read_only=True)
                        for inside, outside in self._mounts.items()
                    ],
                )
            )
        return response


def device_ids(uuid: str, replicas: int) -> list[str]:
    """Return the ids under which a GPU or a MIG device is handed out."""
    return [uuid] if replicas == 1 else [f"{uuid}::{number}" for number in range(replicas)]


def uuids(ids: Iterable[str]) -> list[str]:
    """Return what ids are of, each once, in their order."""
    return list(dict.fromkeys(name.partition("::")[0] for name in ids))


def _identity(path: Path) -> tuple[int, ...] | None:
    with suppress(OSError):
        found = path.stat()
        return (found.st_dev, found.st_ino, found.st_ctime_ns)
    return None
