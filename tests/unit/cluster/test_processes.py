"""Only processes that carry the cluster's own mark are ever ended."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster import processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture
def marked_sleep(tmp_path: Path) -> Iterator[Path]:
    state = tmp_path / "mine"
    processes.spawn(["sleep", "600"], state=state, log=tmp_path / "log")
    deadline = time.monotonic() + 10
    while list(processes.marked(state).values()) != ["sleep 600"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    yield state
    processes.kill_marked(state)


def test_a_started_process_is_found_by_its_mark(marked_sleep: Path) -> None:
    (pid,) = processes.marked(marked_sleep)
    assert processes.is_marked(pid, marked_sleep)
    assert not processes.is_marked(pid, marked_sleep.parent / "other")


def test_another_clusters_processes_are_left_alone(marked_sleep: Path) -> None:
    # A name that begins alike is another name.
    assert processes.kill_marked(Path(f"{marked_sleep}-2")) == 0
    assert processes.kill_marked(marked_sleep.parent) == 0
    assert len(processes.marked(marked_sleep)) == 1


def test_killing_waits_until_they_are_gone(marked_sleep: Path) -> None:
    assert processes.kill_marked(marked_sleep) == 1
    assert processes.marked(marked_sleep) == {}


def test_a_process_id_on_disk_that_is_anothers_by_now_is_forgotten(marked_sleep: Path) -> None:
    pids = marked_sleep / "pids"
    pids.mkdir(parents=True)
    (own,) = processes.marked(marked_sleep)
    (pids / "etcd.pid").write_text(str(own))
    (pids / "broken.pid").write_text("?")
    with subprocess.Popen(["sleep", "600"]) as bystander:
        (pids / "kube-apiserver.pid").write_text(str(bystander.pid))
        assert processes.forget_stale_pids(pids, marked_sleep) == ["broken", "kube-apiserver"]
        assert bystander.poll() is None
        bystander.kill()
    assert [path.name for path in pids.iterdir()] == ["etcd.pid"]
