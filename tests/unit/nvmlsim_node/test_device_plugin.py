"""GPUs are handed out to a kubelet over the kubelet's own interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from tests.nvmlsim.device_plugin import DevicePlugin, device_ids
from tests.unit.nvmlsim_node.builders import GPU, OTHER_GPU
from tests.unit.nvmlsim_node.kubelet import PATIENCE_SECONDS, FakeKubelet

LIBRARY = {Path("/usr/lib/libnvidia-ml.so.1"): Path("/var/lib/lib.so"), Path("/run/state"): Path("/var/lib/state")}


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[DevicePlugin]:
    plugin = DevicePlugin(LIBRARY, tmp_path)
    plugin.start()
    yield plugin
    plugin.stop()
    assert not plugin.socket.exists()


@pytest.fixture
def start_kubelet(tmp_path: Path) -> Iterator[Callable[[], FakeKubelet]]:
    started: list[FakeKubelet] = []

    def start() -> FakeKubelet:
        for before in started:
            before.stop()
        started.append(FakeKubelet(tmp_path))
        return started[-1]

    yield start
    for kubelet in started:
        kubelet.stop()


Start = Callable[[], FakeKubelet]


def test_it_registers_as_the_plugin_of_nvidias_gpus(plugin: DevicePlugin, start_kubelet: Start) -> None:
    plugin.update({GPU: True})
    request = start_kubelet().registered.get(timeout=PATIENCE_SECONDS)
    assert (request.version, request.resource_name) == ("v1beta1", "nvidia.com/gpu")
    assert request.endpoint == plugin.socket.name


def test_the_kubelet_hears_of_every_change(plugin: DevicePlugin, start_kubelet: Start) -> None:
    plugin.update({GPU: True, OTHER_GPU: True})
    told = start_kubelet().devices()
    assert next(told) == {GPU: "Healthy", OTHER_GPU: "Healthy"}
    plugin.update({GPU: True, OTHER_GPU: False})
    assert next(told) == {GPU: "Healthy", OTHER_GPU: "Unhealthy"}
    plugin.update({GPU: True, OTHER_GPU: False})  # nothing new
    plugin.update({f"{GPU}::0": True, f"{GPU}::1": True})
    assert next(told) == {f"{GPU}::0": "Healthy", f"{GPU}::1": "Healthy"}


def test_a_container_gets_uuids_and_read_only_mounts(plugin: DevicePlugin, start_kubelet: Start) -> None:
    plugin.update({GPU: True, OTHER_GPU: True})
    response = start_kubelet().allocate(OTHER_GPU, GPU)
    assert dict(response.envs) == {"NVIDIA_VISIBLE_DEVICES": f"{OTHER_GPU},{GPU}"}
    mounts = {mount.container_path: (mount.host_path, mount.read_only) for mount in response.mounts}
    assert mounts == {str(inside): (str(outside), True) for inside, outside in LIBRARY.items()}


def test_a_time_slice_shows_as_its_gpu(plugin: DevicePlugin, start_kubelet: Start) -> None:
    plugin.update(dict.fromkeys(device_ids(GPU, 2), True))
    assert start_kubelet().allocate(f"{GPU}::0", f"{GPU}::1").envs["NVIDIA_VISIBLE_DEVICES"] == GPU


def test_what_is_not_there_is_not_handed_out(plugin: DevicePlugin, start_kubelet: Start) -> None:
    plugin.update({GPU: True})
    with pytest.raises(grpc.RpcError, match=OTHER_GPU):
        start_kubelet().allocate(OTHER_GPU)


def test_it_registers_again_with_a_kubelet_that_restarted(plugin: DevicePlugin, start_kubelet: Start) -> None:
    plugin.update({GPU: True})
    for _ in range(3):
        assert next(start_kubelet().devices()) == {GPU: "Healthy"}


def test_it_registers_again_when_its_socket_was_removed(plugin: DevicePlugin, start_kubelet: Start) -> None:
    plugin.update({GPU: True})
    kubelet = start_kubelet()
    kubelet.registered.get(timeout=PATIENCE_SECONDS)
    plugin.socket.unlink()
    assert kubelet.allocate(GPU).envs


@pytest.mark.parametrize(("replicas", "ids"), [(1, [GPU]), (3, [f"{GPU}::0", f"{GPU}::1", f"{GPU}::2"])])
def test_ids_of_time_slices(replicas: int, ids: list[str]) -> None:
    assert device_ids(GPU, replicas) == ids
