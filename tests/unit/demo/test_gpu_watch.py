"""From the first look at the GPUs to the last."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import pytest

from tests.demo import counters
from tests.demo.errors import DemoError
from tests.demo.gpus import GpuWatch, SiteGpus, of_users
from tests.demo.kubectl import Kubectl
from tests.unit.demo.power_builders import gpu_status, node_power, outcome_of_both


class _Cluster:
    """Answers `kubectl get nodepowers`, each time with the next answer; the last one stays."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self._answers = list(answers)

    def items(self, resource: str) -> list[dict[str, Any]]:
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


@pytest.fixture(autouse=True)
def _prometheus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "joules", lambda *_: 1000.0)


def _watch(cluster: _Cluster, boards: _Boards) -> GpuWatch:
    site = SiteGpus(
        simulated=True,
        nodes=("real-v100",),
        limits=boards,
        source="read from the boards",
        note="simulated",
        prometheus_url="http://prometheus",
        agent_options=(),
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


def test_each_training_has_the_joules_of_the_gpu_that_it_held() -> None:
    watch = _watch(_Cluster(AS_FOUND), _Boards(FREE))
    watch.begin()
    [free, limited] = [pod.uid for pod in outcome_of_both().pods]
    watch.see(node_power(gpu_status("GPU-1", holders=[free]), gpu_status("GPU-2", enforced=150, holders=[limited])))
    uses = watch.end(outcome_of_both()).uses
    assert [(use.job, use.gpu.uuid, use.gpu.limit_watts, use.joules, use.seconds) for use in uses] == [
        ("free", "GPU-1", 250, 1000.0, 20.0),
        ("limited", "GPU-2", 150, 1000.0, 20.0),
    ]


def test_on_a_users_cluster_agents_tell_the_limits() -> None:
    site = of_users(
        cast(Kubectl, _Cluster(CAPPED)),
        ("real-v100",),
        agent_image="registry.example/agent:1",
        prometheus_url="http://p",
    )
    assert site.limits() == LIMITED
    assert not site.simulated
    assert site.agent_options == ("--set-string", "agent.image.repository=registry.example/agent:1,agent.image.tag=")
