"""Random clusters and gangs, small enough that they often just fit and often just don't."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from tests.builders import JobBuilder, NodeBuilder, job, node

ZONES = ("west", "east")


@st.composite
def nodes(draw: st.DrawFn, name: str, empty: bool = False) -> NodeBuilder:
    built = node(name).with_cpus(draw(st.integers(1, 8)), draw(st.integers(1, 16))).for_pods(draw(st.integers(1, 6)))
    model = draw(st.sampled_from(["A100", "V100", "H100", "ACME-Turbo-9", None]))
    gpus = draw(st.integers(1, 4)) if model is not None else 0
    if model is not None:
        built = built.with_gpus(model, gpus)
    built = built.labelled(zone=draw(st.sampled_from(ZONES)))
    if draw(st.integers(0, 4)) == 0:
        built = built.tainted("team", "vision", draw(st.sampled_from(["NoSchedule", "NoExecute", "PreferNoSchedule"])))
    if draw(st.integers(0, 9)) == 0:
        built = draw(st.sampled_from([built.cordoned(), built.not_ready()]))
    if empty:
        return built
    # More than there is may be taken: kubelets admit static pods regardless.
    return built.using(
        gpus=draw(st.integers(0, gpus)), cpus=draw(st.integers(0, 9)), pods=draw(st.integers(0, built.pods))
    )


def clusters(empty: bool = False) -> st.SearchStrategy[list[NodeBuilder]]:
    names = st.lists(st.sampled_from("abcdef"), unique=True, max_size=6)
    return names.flatmap(lambda chosen: st.tuples(*[nodes(name, empty) for name in chosen]).map(list))


@st.composite
def jobs(draw: st.DrawFn, name: str) -> JobBuilder:
    built = job(name).replicas(draw(st.integers(1, 5))).with_cpus(draw(st.sampled_from(["500m", "1", "2", "3"])))
    if draw(st.booleans()):
        built = built.with_gpus(draw(st.integers(1, 4)))
    if draw(st.integers(0, 3)) == 0:
        built = built.with_cpus("1", f"{draw(st.integers(1, 8))}Gi")
    if draw(st.integers(0, 3)) == 0:
        built = built.selecting(zone=draw(st.sampled_from(ZONES)))
    if draw(st.integers(0, 3)) == 0:
        built = built.tolerating(key="team", operator="Exists")
    if draw(st.integers(0, 3)) == 0:
        expression = {"key": "zone", "operator": draw(st.sampled_from(["In", "NotIn"])), "values": ["west"]}
        built = built.requiring({"matchExpressions": [expression]})
    built = built.minimizing(draw(st.sampled_from(["MinimizeEnergy", "Balanced", "MinimizeTime"])))
    return built.slowed_by_at_most(draw(st.sampled_from([0, 10, 100, 1000]))).waiting_since(-draw(st.integers(0, 5)))


@st.composite
def queues(draw: st.DrawFn) -> list[JobBuilder]:
    # Few different requests, so that lanes have more than one job.
    kinds = [draw(jobs(f"kind-{index}")) for index in range(draw(st.integers(1, 3)))]
    return [
        replace(draw(st.sampled_from(kinds)), name=f"job-{index}", created=-float(draw(st.integers(0, 5))))
        for index in range(draw(st.integers(0, 8)))
    ]
