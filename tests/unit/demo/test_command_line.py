"""Refusals of the command line that reach no cluster."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.demo.__main__ import main
from tests.demo.errors import DemoError
from tests.demo.kubectl import Kubectl
from tests.demo.sites import Site


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def test_images_need_a_cluster_of_the_users(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--operator-image", "registry.example/operator:1"])
    assert ended.value.code == 2
    assert "need --kubeconfig" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--agent-image", "--exporter-image", "--prometheus"])
def test_so_do_gpus_of_the_users(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([option, "http://prometheus.example"])
    assert "need --kubeconfig" in capsys.readouterr().err


def test_a_kubeconfig_that_is_not_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--kubeconfig", str(tmp_path / "none"), "--down"]) == 1
    said = capsys.readouterr().out
    assert "there is no kubeconfig" in said
    assert "make demo KUBECONFIG=" in said


def _demo_that(
    monkeypatch: pytest.MonkeyPatch, ending: type[BaseException] | int, *options: str
) -> tuple[int, list[str]]:
    """Runs the command line on a site that needs no cluster; returns its status and what was removed."""
    removed: list[str] = []
    site = Site(
        kubectl=Kubectl(["false"]),
        kubeconfig=Path("kubeconfig"),
        operator_log=Path("log"),
        real=True,
        simulated=True,
        look_around="look",
        take_down=("take down",),
        remove=lambda: removed.append("site"),
    )

    def run(*_: object, **__: object) -> int:
        if isinstance(ending, int):
            return ending
        raise ending("told")

    monkeypatch.setattr("tests.demo.sites.embedded", lambda *_, **__: site)
    monkeypatch.setattr("tests.demo.sites.remove_embedded", lambda: removed.append("embedded"))
    monkeypatch.setattr("tests.demo.__main__.run", run)
    return main(options), removed


@pytest.mark.parametrize(("ending", "status"), [(0, 0), (1, 1), (DemoError, 1), (KeyboardInterrupt, 130)])
def test_however_it_ends_down_removes_everything(
    monkeypatch: pytest.MonkeyPatch, ending: type[BaseException] | int, status: int
) -> None:
    assert _demo_that(monkeypatch, ending, "--down") == (status, ["embedded"])


def test_by_default_everything_stays_and_the_user_is_told_how_to_look(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _demo_that(monkeypatch, 0) == (0, [])
    said = capsys.readouterr().out
    assert "look" in said
    assert "take down" in said
