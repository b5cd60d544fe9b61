"""What the command line names becomes one setup for each seed, and facts that say what it was."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ballast.errors import UserError
from ballast.simulate.curves import fitted_curves
from ballast.simulate.inputs.load import offered_load
from ballast.simulate.inputs.trace_formats import GAVEL_KINDS
from ballast.simulate.setups import FORMATS, Facts, Inputs, read_setups
from tests.unit.simulate.commanding import CLUSTER, TRACE

_PHILLY = """\
timestamp,duration,num_gpus,gpu_time,cluster
2017-11-08 08:00:00,3600,1,3600,a
2017-11-08 07:00:00,1800,12,21600,b
2017-11-08 09:00:00,600,6,3600,a
"""
_GAVEL = "LM (batch size 80)\tpython3 main.py\t--steps\t0\t43904\t0.0\t2\nA3C\tpython3 main.py\t--s\t0\t8233\t60\t1\n"


@pytest.fixture
def named(tmp_path: Path) -> Callable[..., Inputs]:
    """Inputs by the texts of their files."""

    def make(trace: str = TRACE, cluster: str = CLUSTER, **more: object) -> Inputs:
        (tmp_path / "trace.csv").write_text(trace)
        (tmp_path / "cluster.yaml").write_text(cluster)
        return Inputs(trace=tmp_path / "trace.csv", cluster=tmp_path / "cluster.yaml", **more)  # type: ignore[arg-type]

    return make


def _fact(facts: Facts, name: str) -> str:
    return dict(facts)[name]


def test_each_seed_has_a_setup_with_the_same_of_all_else(named: Callable[..., Inputs]) -> None:
    setups, _ = read_setups(named(seeds=2, switch_off_after_seconds=120.0))
    assert [setup.seed for setup in setups] == [0, 1]
    assert setups[0].jobs == setups[1].jobs
    assert setups[0].nodes == setups[1].nodes
    assert setups[0].options == setups[1].options
    assert setups[0].options.switch_off_after_seconds == 120.0


def test_every_nth_job_begins_with_the_one_that_the_seed_names(named: Callable[..., Inputs]) -> None:
    setups, facts = read_setups(named(seeds=3, every=2))
    assert [[job.name for job in setup.jobs] for setup in setups] == [["a", "c"], ["b", "d"], ["a", "c"]]
    assert "one job of 2, the first by seed" in _fact(facts, "trace")


def test_a_number_that_leaves_a_seed_nothing_is_refused(named: Callable[..., Inputs]) -> None:
    with pytest.raises(UserError, match=r"--every 5: leaves seed 4 no job of .*: take a smaller number"):
        read_setups(named(seeds=5, every=5))


def test_the_load_that_is_asked_for_is_offered(named: Callable[..., Inputs]) -> None:
    ((setup,), facts) = read_setups(named(seeds=1, load=0.5))
    assert offered_load(setup.jobs, setup.nodes, setup.curves) == pytest.approx(0.5)
    assert "scaled to 50 % load" in _fact(facts, "trace")
    assert "50 % load;" in _fact(facts, "trace")


def test_phillys_jobs_draw_kinds_by_seed_and_get_whole_nodes(named: Callable[..., Inputs]) -> None:
    setups, _ = read_setups(named(_PHILLY, CLUSTER.replace("count: 1", "count: 2"), format="philly", seeds=5))
    for setup in setups:
        assert [(job.submitted_at, job.gpus) for job in setup.jobs] == [(0.0, 8), (3600.0, 1), (7200.0, 8)]
        assert {job.kind for job in setup.jobs} <= set(fitted_curves().kinds)
    assert len({tuple(job.kind for job in setup.jobs) for setup in setups}) > 1


def test_gavels_job_types_are_mapped_and_not_drawn(named: Callable[..., Inputs]) -> None:
    setups, _ = read_setups(named(_GAVEL, format="gavel", seeds=3))
    for setup in setups:
        assert [job.kind for job in setup.jobs] == [GAVEL_KINDS["LM"], GAVEL_KINDS["A3C"]]
        assert [job.reference_seconds for job in setup.jobs] == pytest.approx([1000.0, 1000.0], rel=1e-3)


def test_a_published_trace_without_jobs_is_told_as_such(named: Callable[..., Inputs]) -> None:
    for trace, form in ((_PHILLY.splitlines()[0] + "\n", "philly"), ("", "gavel")):
        with pytest.raises(UserError, match=r"trace\.csv: holds no job"):
            read_setups(named(trace, format=form))


def test_a_compressed_trace_is_read(named: Callable[..., Inputs]) -> None:
    inputs = named()
    inputs.trace.write_bytes(gzip.compress(TRACE.encode()))
    assert len(read_setups(inputs)[0][0].jobs) == 4


def test_a_job_that_no_model_holds_is_told_with_its_files(named: Callable[..., Inputs]) -> None:
    with pytest.raises(
        UserError, match=r"trace\.csv on .*cluster\.yaml: job a: gpus is 9: .*drop the job or add nodes"
    ):
        read_setups(named(TRACE.replace(",4,3600", ",9,3600")))


def test_series_are_read_and_told(named: Callable[..., Inputs], tmp_path: Path) -> None:
    path = tmp_path / "grid.csv"
    path.write_text("time,value\n2026-01-05T00:00:00Z,400\n2026-01-05T01:00:00Z,100\n")
    ((setup,), facts) = read_setups(named(seeds=1, carbon=path, began=datetime(2026, 1, 5, tzinfo=UTC)))
    assert setup.carbon is not None
    assert setup.carbon(3600.0) == 100.0
    assert _fact(facts, "carbon, g/kWh") == f"{path}, 2 values from 100 to 400"


def test_power_limits_that_no_curve_knows_are_told(named: Callable[..., Inputs]) -> None:
    wide = CLUSTER.replace("gpuModel: V100", "gpuModel: V100, maxPowerLimit: 300W")
    _, facts = read_setups(named(cluster=wide))
    assert _fact(facts, "beyond curves").startswith("V100 takes 100 to 300 W, curves know 100 to 250 W: ")
    assert "beyond curves" not in dict(read_setups(named())[1])


def test_the_commands_formats_are_those_that_are_read() -> None:
    from ballast.simulate import command

    assert command._FORMATS == FORMATS  # named twice, so that --help needs no numpy
