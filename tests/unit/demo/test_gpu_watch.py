"""From the first look at the GPUs to the last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from tests.demo.errors import DemoError
from tests.demo.gpus import GpuWatch, SiteGpus, of_users
from tests.demo.kubectl import Kubectl
from tests.unit.demo.power_builders import gpu_status, node_power, outcome_of_both


class _Cluster:
    """Answers `kubectl get nodepowers`, each time with the next answer; the last one stays. Jobs settle in time."""

    def __init__(self, *answers: dict[str, Any], settled_after: int = 0) -> None:
        self._answers = list(answers)
        self._unsettled = settled_after

    def items(self, resource: str, *_: str) -> list[dict[str, Any]]:
        if resource == "trainingjobs":
            self._unsettled -= 1
            return [_job("free", 1000.0, pods=self._unsettled < 0), _job("limited", 900.0, pods=True)]
        assert resource == "nodepowers"
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        return [answer["object"]]


class _Boards:
    """Tells the limits of the boards, each time the next; the last ones stay."""

    def __init__(self, *limits: Mapping[str, float]) -> None:
        self._limits = list(limits)

    def __call__(self) -> Mapping[str, float]:
        return self._limits.pop(0) if len(self._limits) > 1 else self._limits[0]


AS_FOUND = node_power(gpu_status("GPU-1"), gpu_status("GPU-2"))
CAPPED = node_power(gpu_status("GPU-1"), gpu_status("GPU-2", enforced=150, holders=["limited"]))
FREE, LIMITED = {"GPU-1": 250.0, "GPU-2": 250.0}, {"GPU-1": 250.0, "GPU-2": 150.0}


def _job(name: str, joules: float, *, pods: bool) -> dict[str, Any]:
    energy = {"joules": joules + 5, "gpuJoules": joules, "pods": 1}
    attempt = {"number": 1, **({"energy": energy} if pods else {})}
    return {"metadata": {"name": name}, "status": {"phase": "Succeeded", "attempts": [attempt]}}


def _watch(cluster: _Cluster, boards: _Boards) -> GpuWatch:
    site = SiteGpus(
        simulated=True,
        nodes=("real-v100",),
        limits=boards,
        source="read from the boards",
        note="simulated",
        options=(),
    )
    now = [0.0]
    return GpuWatch(
        site,
        cast(Kubectl, cluster),
        clock=lambda: now[0],
        sleep=lambda seconds: now.__setitem__(0, now[0] + seconds),
    )


def test_it_begins_when_nothing_is_set_any_more() -> None:
    watch = _watch(_Cluster(CAPPED, CAPPED, AS_FOUND), _Boards(FREE))
    assert watch.begin() == 2
    assert watch.end(outcome_of_both()).before == FREE


@pytest.mark.parametrize("told", [node_power(), CAPPED, node_power(gpu_status(), name="another")])
def test_it_does_not_begin_without_agents_that_tell_of_gpus_as_they_were_found(told: dict[str, Any]) -> None:
    with pytest.raises(DemoError, match=r"agents of real-v100 have not told .*kubectl get np"):
        _watch(_Cluster(told), _Boards(FREE)).begin()


def test_boards_get_a_moment_to_be_put_back() -> None:
    watch = _watch(_Cluster(AS_FOUND), _Boards(FREE, LIMITED, LIMITED, FREE))
    watch.begin()
    assert watch.end(outcome_of_both()).after == FREE


def test_boards_that_stay_limited_are_told_as_they_are() -> None:
    watch = _watch(_Cluster(AS_FOUND), _Boards(FREE, LIMITED))
    watch.begin()
    assert watch.end(outcome_of_both()).not_restored == ["GPU-2"]


@pytest.mark.parametrize("polls", [0, 3])
def test_each_training_has_the_joules_of_its_ledger_once_it_is_settled(polls: int) -> None:
    watch = _watch(_Cluster(AS_FOUND, settled_after=polls), _Boards(FREE))
    watch.begin()
    [free, limited] = [pod.uid for pod in outcome_of_both().pods]
    watch.see(node_power(gpu_status("GPU-1", holders=[free]), gpu_status("GPU-2", enforced=150, holders=[limited])))
    uses = watch.end(outcome_of_both()).uses
    assert [(use.job, use.gpu.uuid, use.gpu.limit_watts, use.joules, use.seconds, use.samples) for use in uses] == [
        ("free", "GPU-1", 250, 1000.0, 20.0, 20_000),
        ("limited", "GPU-2", 150, 900.0, 20.0, 20_000),
    ]


def test_a_ledger_that_is_never_settled_is_not_waited_for_without_end() -> None:
    watch = _watch(_Cluster(AS_FOUND, settled_after=10_000), _Boards(FREE))
    watch.begin()
    [free, _] = [pod.uid for pod in outcome_of_both().pods]
    watch.see(node_power(gpu_status("GPU-1", holders=[free])))
    assert [use.joules for use in watch.end(outcome_of_both()).uses] == [None]


def test_on_a_users_cluster_agents_tell_the_limits() -> None:
    site = of_users(
        cast(Kubectl, _Cluster(CAPPED)),
        ("real-v100",),
        agent_image="registry.example/agent:1",
        exporter_image="registry.example/exporter:1",
        prometheus_url="http://p",
    )
    assert site.limits() == LIMITED
    assert not site.simulated
    assert site.options[1::2] == (
        "agent.image.repository=registry.example/agent:1,agent.image.tag=",
        "exporter.image.repository=registry.example/exporter:1,exporter.image.tag=",
        "prometheus.url=http://p",
    )
