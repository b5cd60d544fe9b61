"""What `ballast simulate` prints instead of simulating: examples that simulate, and the policies."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from ballast.simulate.comparison.arms import Task, compared, run_arm
from ballast.simulate.curves import fitted_curves
from ballast.simulate.engine.rules import check_inputs
from ballast.simulate.inputs.cluster import read_cluster, write_example
from ballast.simulate.inputs.load import offered_load
from ballast.simulate.inputs.trace import read_trace
from ballast.simulate.policies.catalogue import POLICIES
from ballast.simulate.setups import Inputs, example_trace, read_setups
from tests.unit.simulate.commanding import simulate


def test_examples_go_to_standard_output_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("--example-cluster") == 0
    assert capsys.readouterr() == (write_example(), "")
    assert simulate("--example-trace") == 0
    assert capsys.readouterr() == (example_trace(), "")


def test_the_examples_go_together_and_keep_a_cluster_busy(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(write_example())
    (tmp_path / "t.csv").write_text(example_trace())
    jobs, nodes = read_trace(tmp_path / "t.csv"), read_cluster(tmp_path / "c.yaml")
    check_inputs(jobs, nodes, fitted_curves())
    assert 0.5 < offered_load(jobs, nodes, fitted_curves()) < 1.0


def test_no_two_policies_do_the_same_on_the_examples(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text(write_example())
    (tmp_path / "t.csv").write_text(example_trace())
    ((setup,), _) = read_setups(Inputs(trace=tmp_path / "t.csv", cluster=tmp_path / "c.yaml", seeds=1))
    alike = ("fifo-binpack", "gang-binpack-backfill", "easy-backfill")  # as long as nothing waits
    runs = [run_arm(Task(policy, setup), progress=lambda share: None) for policy in alike]
    assert compared(runs).same == ()


def test_every_policy_has_a_line_that_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate("--list-policies") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [*POLICIES]
    assert all(line.endswith(arm.description) for line, arm in zip(lines, POLICIES.values(), strict=True))


def test_a_reader_that_has_read_enough_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

        def fileno(self) -> int:
            return spare

    with Path("/dev/null").open() as file:
        spare = file.fileno()
        monkeypatch.setattr("sys.stdout", Closed())
        assert simulate("--list-policies") == 0
