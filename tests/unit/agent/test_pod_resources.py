"""The kubelet's list of who holds what: asked over a real socket, and joined with the pods that are known."""

from __future__ import annotations

import asyncio
from pathlib import Path

import grpc
import pytest

from ballast.agent.device import MigDevice
from ballast.agent.node.holders import Holder
from ballast.agent.node.pod_resources import (
    DeviceId,
    Held,
    PodResources,
    PodResourcesRefused,
    PodResourcesUnavailable,
    holders_by_gpu,
)
from tests.unit.agent.kubelet_socket import KubeletSocket

GPU = "nvidia.com/gpu"
TRAINS = Held("team", "train-0", "trainer", GPU, ("GPU-a", "GPU-b"))


def uid_of(namespace: str, name: str) -> str | None:
    return None if name == "unknown" else f"uid-of-{namespace}-{name}"


async def test_the_whole_list_is_told(tmp_path: Path) -> None:
    socket = tmp_path / "kubelet.sock"
    shared = Held("team", "shares", "trainer", GPU, ("GPU-c::1",))
    kubelet = KubeletSocket([TRAINS, shared])
    async with kubelet.serving(socket), PodResources(socket) as resources:
        assert await resources.list() == (TRAINS, shared)


async def test_a_pod_without_devices_is_left_out(tmp_path: Path) -> None:
    socket = tmp_path / "kubelet.sock"
    kubelet = KubeletSocket()
    kubelet.answer.pod_resources.add(name="idle", namespace="team").containers.add(name="main")
    async with kubelet.serving(socket), PodResources(socket) as resources:
        assert await resources.list() == ()


async def test_without_a_kubelet_it_is_unavailable_and_says_what_to_look_at(tmp_path: Path) -> None:
    async with PodResources(tmp_path / "kubelet.sock", timeout_seconds=5) as resources:
        with pytest.raises(PodResourcesUnavailable, match=r"kubelet\.sock gives no answer.*mounted"):
            await resources.list()


async def test_a_kubelet_that_hangs_is_unavailable(tmp_path: Path) -> None:
    socket = tmp_path / "kubelet.sock"
    kubelet = KubeletSocket()
    kubelet.hangs = True
    async with kubelet.serving(socket), PodResources(socket, timeout_seconds=0.2) as resources:
        with pytest.raises(PodResourcesUnavailable, match=r"no answer in 0\.2 s"):
            await resources.list()


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.UNIMPLEMENTED, PodResourcesRefused),
        (grpc.StatusCode.PERMISSION_DENIED, PodResourcesRefused),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, PodResourcesUnavailable),
        (grpc.StatusCode.INTERNAL, PodResourcesUnavailable),
    ],
)
async def test_a_refusal_is_told_from_trouble(tmp_path: Path, code: grpc.StatusCode, error: type[Exception]) -> None:
    socket = tmp_path / "kubelet.sock"
    kubelet = KubeletSocket()
    kubelet.refuses = code
    async with kubelet.serving(socket), PodResources(socket) as resources:
        with pytest.raises(error, match=code.name):
            await resources.list()


async def told_in_the_end(resources: PodResources) -> tuple[Held, ...]:
    async with asyncio.timeout(60):
        while True:
            try:
                return await resources.list()
            except PodResourcesUnavailable:
                await asyncio.sleep(0.05)


async def test_a_kubelet_that_restarts_is_found_again(tmp_path: Path) -> None:
    socket = tmp_path / "kubelet.sock"
    async with PodResources(socket) as resources:
        async with KubeletSocket([TRAINS]).serving(socket):
            assert await resources.list() == (TRAINS,)
        with pytest.raises(PodResourcesUnavailable):
            await resources.list()
        other = Held("team", "other", "trainer", GPU, ("GPU-a",))
        async with KubeletSocket([other]).serving(socket):
            assert await told_in_the_end(resources) == (other,)


async def test_a_large_node_fits(tmp_path: Path) -> None:
    socket = tmp_path / "kubelet.sock"
    many = Held("team", "train", "trainer", GPU, tuple(f"GPU-{number:040}" for number in range(150_000)))
    async with KubeletSocket([many]).serving(socket), PodResources(socket) as resources:
        assert await resources.list() == (many,)


@pytest.mark.parametrize(
    ("text", "device"),
    [
        ("GPU-5fd4f087-86f3-7a43-b711-4771313afc50", DeviceId("GPU-5fd4f087-86f3-7a43-b711-4771313afc50")),
        ("GPU-5fd4::3", DeviceId("GPU-5fd4", 3)),
        ("GPU-5fd4::12", DeviceId("GPU-5fd4", 12)),
        ("MIG-1234", DeviceId("MIG-1234")),
        ("MIG-1234::0", DeviceId("MIG-1234", 0)),
        ("GPU-5fd4::", DeviceId("GPU-5fd4::")),
        ("GPU-5fd4::x", DeviceId("GPU-5fd4::x")),
        ("::3", DeviceId("::3")),
        ("", DeviceId("")),
    ],
)
def test_a_device_id_is_read(text: str, device: DeviceId) -> None:
    assert DeviceId.parse(text) == device


def test_holders_are_joined_with_uids() -> None:
    held = [TRAINS, Held("team", "unknown", "trainer", GPU, ("GPU-c",))]
    assert holders_by_gpu(held, uid_of, {"GPU-a": (), "GPU-b": (), "GPU-c": ()}) == {
        "GPU-a": (Holder("uid-of-team-train-0"),),
        "GPU-b": (Holder("uid-of-team-train-0"),),
    }


def test_a_pod_with_several_slices_of_time_is_one_holder() -> None:
    held = [
        Held("team", "a", "trainer", GPU, ("GPU-a::0", "GPU-a::1")),
        Held("team", "a", "helper", GPU, ("GPU-a::2",)),
        Held("team", "b", "trainer", GPU, ("GPU-a::3",)),
    ]
    assert holders_by_gpu(held, uid_of, {"GPU-a": ()}) == {"GPU-a": (Holder("uid-of-team-a"), Holder("uid-of-team-b"))}


def test_mig_devices_are_found_on_their_gpu() -> None:
    held = [Held("team", "a", "trainer", "nvidia.com/mig-2g.10gb", ("MIG-1", "MIG-2"))]
    parts = (MigDevice("MIG-1", 2, 7), MigDevice("MIG-2", 3, 7))
    assert holders_by_gpu(held, uid_of, {"GPU-a": parts}) == {
        "GPU-a": (Holder("uid-of-team-a", "MIG-1", 2, 7), Holder("uid-of-team-a", "MIG-2", 3, 7))
    }


def test_other_devices_are_passed_over() -> None:
    held = [Held("team", "a", "trainer", "example.com/nic", ("nic-1",)), Held("team", "a", "trainer", GPU, ("GPU-z",))]
    assert holders_by_gpu(held, uid_of, {"GPU-a": ()}) == {}


def test_the_order_in_which_the_kubelet_tells_does_not_matter() -> None:
    held = [Held("team", name, "trainer", GPU, ("GPU-a",)) for name in ("b", "a", "c")]
    assert holders_by_gpu(held, uid_of, {"GPU-a": ()}) == holders_by_gpu(held[::-1], uid_of, {"GPU-a": ()})
