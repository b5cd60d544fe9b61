"""What a pod counts for on its node is what kube-scheduler counts it for."""

from __future__ import annotations

from typing import Any

from ballast.observe.parsing import pod_request


def asks(**requests: str) -> dict[str, Any]:
    return {"name": "c", "resources": {"requests": requests}}


def sidecar(**requests: str) -> dict[str, Any]:
    return {**asks(**requests), "restartPolicy": "Always"}


def cpus(**spec: Any) -> int:
    return pod_request(spec)["cpu"]


def test_a_pod_without_requests_counts_as_one_pod() -> None:
    assert pod_request({"containers": [{"name": "c"}]}) == {"pods": 1}


def test_containers_add_up() -> None:
    spec = {"containers": [asks(cpu="1", memory="1Ki"), asks(cpu="500m")]}
    assert pod_request(spec) == {"cpu": 1500, "memory": 1024, "pods": 1}


def test_a_limit_stands_in_for_an_absent_request() -> None:
    resources = {"limits": {"cpu": "2", "nvidia.com/gpu": "4"}, "requests": {"cpu": "1"}}
    spec = {"containers": [{"name": "trainer", "resources": resources}]}
    assert pod_request(spec) == {"cpu": 1000, "nvidia.com/gpu": 4, "pods": 1}


def test_init_containers_run_one_after_another_before_the_containers() -> None:
    assert cpus(initContainers=[asks(cpu="3"), asks(cpu="2")], containers=[asks(cpu="1")]) == 3000
    assert cpus(initContainers=[asks(cpu="3")], containers=[asks(cpu="4")]) == 4000


def test_sidecars_run_beside_the_containers() -> None:
    assert cpus(initContainers=[sidecar(cpu="1")], containers=[asks(cpu="2")]) == 3000


def test_an_init_container_runs_beside_the_sidecars_before_it_only() -> None:
    assert cpus(initContainers=[sidecar(cpu="1"), asks(cpu="5")], containers=[asks(cpu="2")]) == 6000
    assert cpus(initContainers=[asks(cpu="5"), sidecar(cpu="1")], containers=[asks(cpu="2")]) == 5000


def test_each_resource_has_its_own_peak() -> None:
    spec = {"initContainers": [asks(memory="8")], "containers": [asks(cpu="1", memory="2")]}
    assert pod_request(spec) == {"cpu": 1000, "memory": 8, "pods": 1}


def test_overhead_comes_on_top_of_the_peak() -> None:
    assert cpus(initContainers=[asks(cpu="3")], containers=[asks(cpu="1")], overhead={"cpu": "250m"}) == 3250


def test_what_the_pod_asks_for_as_a_whole_counts_instead() -> None:
    whole = {"requests": {"cpu": "8"}, "limits": {"cpu": "9", "memory": "64"}}
    spec = {"resources": whole, "containers": [asks(cpu="1")], "overhead": {"cpu": "1"}}
    assert pod_request(spec) == {"cpu": 9000, "memory": 64, "pods": 1}
