"""`ballast agent` on the command line: what is wrong with its settings, and how its parts end."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ballast.__main__ import main
from ballast.agent import agent as module
from ballast.agent.capping.capper import Capper
from ballast.agent.capping.originals import Originals, read_boot_id
from ballast.agent.settings import AgentSettings
from ballast.failpoints import Failpoints
from tests.unit.agent.capping import point, wanted
from tests.unit.agent.fake_gpu import FOUND_WATTS, Board, FakeDriver

Output = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Only what the test sets."""
    for name in os.environ:
        if name.startswith("BALLAST_AGENT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BALLAST_AGENT_STATE_FOLDER", str(tmp_path / "state"))
    monkeypatch.setenv("BALLAST_AGENT_NODE_NAME", "a")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    return monkeypatch


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> FakeDriver:
    """The node's GPUs."""
    driver = FakeDriver(Board("GPU-a"), Board("GPU-b"))
    monkeypatch.setattr(module, "open_driver", lambda: driver)
    return driver


@pytest.fixture
def originals(tmp_path: Path) -> Iterator[Originals]:
    """The node's disk, owned."""
    originals = Originals(tmp_path / "state", read_boot_id())
    yield originals
    originals.close()


def cap(driver: FakeDriver, originals: Originals, **watts: float) -> None:
    """What an agent did that died then."""
    capper = Capper(driver, originals, lambda: 1.0, Failpoints())
    capper.reconcile(wanted(**{f"GPU-{name}": point(limit) for name, limit in watts.items()}))
    originals.close()


# -- settings


def test_without_the_nodes_name_it_says_which_setting_is_missing(
    environment: pytest.MonkeyPatch, capsys: Output
) -> None:
    environment.delenv("BALLAST_AGENT_NODE_NAME")
    assert main(["agent"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("ballast: BALLAST_AGENT_NODE_NAME is not set: The node on which it runs")
    assert len(told.splitlines()) == 1


@pytest.mark.parametrize("how", [[], ["--check"], ["--restore"]], ids=" ".join)
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SAMPLE_HERTZ", "0"),
        ("HTTP_PORT", "70000"),
        ("OPERATOR_STALE_SECONDS", "soon"),
        ("LOG_LEVEL", "LOUD"),
        ("HOST_IP", "here"),
        ("NAMESPACE", "No/Namespace"),
    ],
)
def test_a_wrong_setting_is_named_with_what_it_is(
    environment: pytest.MonkeyPatch, capsys: Output, how: list[str], name: str, value: str
) -> None:
    """Also one that has nothing to do with what is asked for: a typo must not wait for the next start."""
    environment.setenv(f"BALLAST_AGENT_{name}", value)
    assert main(["agent", *how]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err
    for line in output.err.splitlines():
        assert line.startswith(f"ballast: BALLAST_AGENT_{name}: ")
        assert line.endswith(f"(is {value!r})")


def test_all_wrong_settings_are_named_at_once(environment: pytest.MonkeyPatch, capsys: Output) -> None:
    environment.setenv("BALLAST_AGENT_SAMPLE_HERTZ", "-1")
    environment.setenv("BALLAST_AGENT_DRIFT_SECONDS", "0")
    assert main(["agent"]) == 2
    told = capsys.readouterr().err
    assert "SAMPLE_HERTZ" in told
    assert "DRIFT_SECONDS" in told


def test_settings_that_do_not_fit_together_are_named_with_the_remedy(
    environment: pytest.MonkeyPatch, capsys: Output
) -> None:
    environment.setenv("BALLAST_AGENT_HTTP_PORT", "9000")
    environment.setenv("BALLAST_AGENT_HTTPS_PORT", "9000")
    assert main(["agent"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("ballast: BALLAST_AGENT_HTTPS_PORT and BALLAST_AGENT_HTTP_PORT are both 9000: change one")


def test_every_setting_is_documented(capsys: Output) -> None:
    assert main(["agent", "--settings"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == len(AgentSettings.model_fields)
    assert all(line.startswith("BALLAST_AGENT_") and line.rstrip().endswith(".") for line in shown)


def test_they_are_shown_though_they_are_wrong(environment: pytest.MonkeyPatch) -> None:
    """It is where one looks up how they must be."""
    environment.setenv("BALLAST_AGENT_SAMPLE_HERTZ", "0")
    assert main(["agent", "--settings"]) == 0


@pytest.mark.parametrize("pair", [("--check", "--restore"), ("--settings", "--check"), ("--restore", "--settings")])
def test_one_thing_at_a_time(pair: tuple[str, str], capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["agent", *pair])
    assert ended.value.code == 2
    assert "not allowed with" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["agent", "--check", "--seconds"], ["uninstall", "--timeout-seconds"]])
@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf", "3601", "soon"])
def test_seconds_that_make_no_sense_are_refused(command: list[str], seconds: str, capsys: Output) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*command, seconds])
    assert ended.value.code == 2
    assert "is not a number of seconds" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["agent", "uninstall"])
def test_without_a_cluster_it_says_what_to_set(command: str, capsys: Output) -> None:
    assert main([command]) == 2
    told = capsys.readouterr().err
    assert "set KUBECONFIG" in told
    assert "Traceback" not in told


# -- --restore


def test_restoring_when_nothing_was_changed(driver: FakeDriver, capsys: Output) -> None:
    assert main(["agent", "--restore"]) == 0
    assert capsys.readouterr().out == "no GPU was changed\n"
    assert driver["GPU-a"].calls == []


def test_restoring_what_an_agent_left(driver: FakeDriver, originals: Originals, capsys: Output) -> None:
    cap(driver, originals, a=150)
    assert main(["agent", "--restore"]) == 0
    assert capsys.readouterr().out == "GPU-a: has what was found\n"
    assert driver["GPU-a"].limit_watts == FOUND_WATTS
    assert driver["GPU-b"].calls == []


def test_what_cannot_be_restored_is_told_beside_what_is(
    driver: FakeDriver, originals: Originals, capsys: Output
) -> None:
    cap(driver, originals, a=150, b=120)
    driver["GPU-b"].is_lost = True
    assert main(["agent", "--restore"]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first == "GPU-a: has what was found"
    assert second.startswith("GPU-b: ")
    assert "does not answer" in second
    assert driver["GPU-a"].limit_watts == FOUND_WATTS


def test_not_while_an_agent_runs(driver: FakeDriver, originals: Originals, capsys: Output) -> None:
    assert main(["agent", "--restore"]) == 1
    told = capsys.readouterr().out
    assert told.startswith("nothing is restored: another agent on this node uses ")
    assert "it must end first" in told
    assert driver["GPU-a"].calls == []


def test_not_where_the_disk_cannot_be_read(driver: FakeDriver, tmp_path: Path, capsys: Output) -> None:
    (tmp_path / "state").write_text("in the way")
    assert main(["agent", "--restore"]) == 1
    assert capsys.readouterr().out.startswith("nothing is restored: cannot keep in ")


def test_the_driver_is_let_go_of_in_any_case(
    driver: FakeDriver, originals: Originals, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    monkeypatch.setattr(driver, "close", lambda: closed.append(1))
    assert main(["agent", "--restore"]) == 1
    originals.close()
    assert main(["agent", "--restore"]) == 0
    assert len(closed) == 2
