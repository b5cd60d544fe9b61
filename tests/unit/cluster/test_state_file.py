"""The state file comes back as it was written, and a broken one is told, not trusted."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.cluster import state as cluster_state
from tests.cluster.errors import ClusterError
from tests.unit.cluster.builders import a_state


def test_it_comes_back_as_it_was_written(tmp_path: Path) -> None:
    cluster_state.save(tmp_path, a_state())
    assert cluster_state.load(tmp_path) == a_state()


def test_there_is_none_at_first(tmp_path: Path) -> None:
    assert cluster_state.load(tmp_path / "absent") is None


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{", '{"name": "unit"}', '{"name": "unit", "block": 900, "ports": {}}', '{"surprise": 1}'],
)
def test_a_broken_file_is_an_error(text: str) -> None:
    with pytest.raises(ClusterError, match="not a cluster's state"):
        cluster_state.parse(text)


def test_a_broken_file_counts_as_none_and_is_said_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "state.json").write_text("{")
    assert cluster_state.load(tmp_path) is None
    assert "is not used" in capsys.readouterr().err


def test_the_lock_keeps_a_second_command_waiting_even_when_its_file_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "unit"
    order: list[str] = []
    waiting = threading.Event()

    def second() -> None:
        waiting.set()
        with cluster_state.locked(folder):
            order.append("second")

    with cluster_state.locked(folder):
        thread = threading.Thread(target=second)
        thread.start()
        waiting.wait()
        order.append("first")
        cluster_state.remove_lock(folder)
    thread.join()
    assert order[0] == "first"
    assert order.count("second") == 1
