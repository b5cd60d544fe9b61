"""The placement benchmark's figures, at sizes that take no time."""

from __future__ import annotations

import json
from statistics import median

import pytest

from tests.bench import __main__ as benches
from tests.bench import placement_bench, placement_gap, placement_simulation
from tests.bench.operator_bench import Size
from tests.builders import job


def _line(metric: str, size: Size) -> dict[str, object]:
    line: dict[str, object] = json.loads(placement_bench.PARTS[metric](size).line("abc"))
    return line


def test_a_cycle_is_judged_by_its_99th_percentile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement_bench, "NODES", 6)
    monkeypatch.setattr(placement_bench, "WARM_UP", 1)
    monkeypatch.setattr(placement_bench, "CYCLES", 4)
    line = _line("placement-cycle", Size(runs=2))
    assert (line["metric"], line["unit"], line["aim"], line["runs"]) == ("cycle_p99_ms", "ms", "< 250", 2)
    assert "p99 of processor time" in str(line["note"])


def test_a_gang_of_whole_nodes_is_placed_on_empty_ones() -> None:
    nodes = placement_bench.nodes_of_gang(seed=0)
    assert len(nodes) == 1000
    assert min(placement_bench.seconds_of_placing(job("large").replicas(50).with_gpus(8).gang(), nodes)) > 0
    with pytest.raises(RuntimeError, match="was to be placed"):
        placement_bench.seconds_of_placing(job("huge").replicas(700).with_gpus(8).gang(), nodes)


def test_growth_tells_what_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement_bench, "SIZES", (6, 12))
    monkeypatch.setattr(placement_bench, "GROWTH_CYCLES", 2)
    line = _line("placement-growth", Size())
    assert (line["metric"], line["aim"], line["runs"]) == ("growth_exponent", "<= 1.15", 1)
    assert "ms with 12 nodes" in str(line["note"])


def test_fewer_jobs_give_no_official_figure() -> None:
    line = _line("placement-simulation", Size(jobs=3))
    assert (line["metric"], line["aim"], line["holds"]) == ("sim_100k_seconds", None, None)
    assert "no official figure" in str(line["note"])


def test_the_gap_is_the_mean_over_instances(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placement_gap, "INSTANCES", 5)
    line = _line("placement-gap", Size(runs=1))
    assert (line["metric"], line["unit"], line["aim"]) == ("optimality_gap_small_percent", "%", "<= 3")
    assert "of 5 optimal" in str(line["note"])


def test_the_trace_is_reproducible_and_as_busy_as_it_says() -> None:
    jobs = placement_simulation.trace(2000)
    assert jobs == placement_simulation.trace(2000)
    assert len({each.name for each in jobs}) == 2000
    assert median(each.gpus for each in jobs) in {1, 1.5, 2}


def test_it_is_one_of_the_benchmarks_and_no_other() -> None:
    assert {"placement", "placements", *placement_bench.PARTS} <= set(benches.BENCHES)
    assert "placement-cycle" in benches.EXPLAINED
