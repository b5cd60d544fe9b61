"""CPU time by pod from either version of control groups and either driver of the kubelet; and pods by process."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ballast.agent.metering.cgroups import SEARCH_SECONDS, NodeCpuTime, PodCpuTime, pod_uid_of, pod_uid_of_process

UID = "5fd4f087-86f3-4a43-b711-4771313afc50"
OTHER = "0fd4f087-86f3-4a43-b711-4771313afc50"
STATIC = "8cd1c20f0a1f4e6e7c1d2b3a4f5e6d7c"  # of a static pod: a hash


@dataclass(frozen=True)
class Layout:
    """Where one kind of node keeps pods' groups."""

    version: int
    systemd: bool
    parent: str = ""

    def folder(self, root: Path, uid: str, quality: str = "burstable") -> Path:
        """Return the group of a pod."""
        base = root if self.version == 2 else root / "cpuacct"
        if not self.systemd:
            return base / self.parent / "kubepods" / quality / f"pod{uid}"
        slices = base / self.parent / "kubepods.slice"
        if quality == "guaranteed":
            return slices / f"kubepods-pod{uid.replace('-', '_')}.slice"
        return slices / f"kubepods-{quality}.slice" / f"kubepods-{quality}-pod{uid.replace('-', '_')}.slice"

    def use(self, root: Path, uid: str, seconds: float, quality: str = "burstable") -> None:
        """Let a pod have used CPU time."""
        folder = self.folder(root, uid, quality)
        folder.mkdir(parents=True, exist_ok=True)
        if self.version == 2:
            (root / "cgroup.controllers").touch()
            (folder / "cpu.stat").write_text(f"usage_usec {seconds * 1e6:.0f}\nuser_usec 1\nsystem_usec 2\n")
        else:
            (folder / "cpuacct.usage").write_text(f"{seconds * 1e9:.0f}\n")


LAYOUTS = [
    Layout(1, systemd=False),
    Layout(1, systemd=True),
    Layout(2, systemd=False),
    Layout(2, systemd=True),
    Layout(1, systemd=False, parent="vn1"),
    Layout(2, systemd=True, parent="pods/deeper"),
]


@pytest.fixture(params=LAYOUTS, ids=str)
def layout(request: pytest.FixtureRequest) -> Layout:
    """Any kind of node."""
    assert isinstance(request.param, Layout)
    return request.param


@pytest.fixture
def time(layout: Layout, tmp_path: Path) -> Iterator[PodCpuTime]:
    """The CPU time of a node with one pod, which has used 1.5 s."""
    layout.use(tmp_path, UID, 1.5)
    it = PodCpuTime(tmp_path)
    yield it
    it.close()


def test_a_pod_s_time_is_read_again_each_time(layout: Layout, time: PodCpuTime, tmp_path: Path) -> None:
    time.follow([UID], now=0)
    assert time.seconds(UID) == 1.5
    layout.use(tmp_path, UID, 2.25)
    assert time.seconds(UID) == 2.25


@pytest.mark.parametrize("quality", ["burstable", "guaranteed", "besteffort"])
def test_a_pod_that_comes_is_found(layout: Layout, time: PodCpuTime, tmp_path: Path, quality: str) -> None:
    time.follow([UID], now=0)
    layout.use(tmp_path, OTHER, 3, quality)
    time.follow([UID, OTHER], now=0.1)
    assert time.seconds(OTHER) == 3


def test_a_static_pod_is_found_by_its_hash(layout: Layout, time: PodCpuTime, tmp_path: Path) -> None:
    layout.use(tmp_path, STATIC, 4)
    time.follow([STATIC], now=0)
    assert time.seconds(STATIC) == 4


def test_a_group_that_comes_late_is_searched_for_again_but_not_at_once(
    layout: Layout, time: PodCpuTime, tmp_path: Path
) -> None:
    time.follow([OTHER], now=0)
    assert time.seconds(OTHER) is None
    layout.use(tmp_path, OTHER, 5, "guaranteed")
    time.follow([OTHER], now=SEARCH_SECONDS + 1)
    assert time.seconds(OTHER) == 5


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_pods_that_are_gone_are_let_go_of(time: PodCpuTime) -> None:
    before = open_files()
    time.follow([UID], now=0)
    time.follow([], now=1)
    assert time.seconds(UID) is None
    assert open_files() == before


def test_a_group_that_is_gone_is_no_number(layout: Layout, time: PodCpuTime, tmp_path: Path) -> None:
    time.follow([UID], now=0)
    file = next(layout.folder(tmp_path, UID).iterdir())
    file.write_text("")  # a file whose group is gone gives an error, or nothing
    assert time.seconds(UID) is None


def test_nothing_is_searched_while_no_pod_comes(
    time: PodCpuTime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    time.follow([UID], now=0)
    monkeypatch.setattr(os, "scandir", lambda _: pytest.fail("searched"))
    for second in range(100):
        time.follow([UID], now=second)


def test_a_node_without_groups_has_no_times(tmp_path: Path) -> None:
    time = PodCpuTime(tmp_path / "nowhere")
    time.follow([UID], now=0)
    assert time.seconds(UID) is None


@pytest.mark.parametrize(
    ("path", "uid"),
    [
        (f"/kubepods/burstable/pod{UID}/0123456789abcdef", UID),
        (f"/kubepods/pod{UID}", UID),
        (f"/../../pod{STATIC}/0123", STATIC),
        (f"/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/cri-containerd-01.scope", UID),
        (f"/vn1-kubepods-besteffort-pod{UID.replace('-', '_')}.slice", UID),
        ("/kubepods/burstable", None),
        ("/kubepods.slice/kubepods-burstable.slice", None),
        ("/machine/podman/libpod-5fd4f08786f34a43b7114771313afc50", None),
        ("/pods/system", None),
        ("/", None),
    ],
)
def test_a_path_names_its_pod(path: str, uid: str | None) -> None:
    assert pod_uid_of(path) == uid


@pytest.mark.parametrize(
    ("lines", "uid"),
    [
        (f"0::/kubepods/pod{UID}/c\n", UID),
        (f"9:name=systemd:/\n2:cpuacct:/kubepods/pod{UID}/c\n0::/\n", UID),
        ("0::/system.slice/sshd.service\n", None),
        ("", None),
    ],
)
def test_a_process_belongs_to_the_pod_of_any_of_its_groups(tmp_path: Path, lines: str, uid: str | None) -> None:
    (tmp_path / "42").mkdir()
    (tmp_path / "42" / "cgroup").write_text(lines)
    assert pod_uid_of_process(42, tmp_path) == uid


def test_a_process_that_is_gone_is_nobody_s(tmp_path: Path) -> None:
    with pytest.raises(ProcessLookupError):
        pod_uid_of_process(42, tmp_path)


def test_the_node_s_time_leaves_out_waiting(tmp_path: Path) -> None:
    ticks = os.sysconf("SC_CLK_TCK")
    told = [1, 2, 3, 1000, 1000, 4, 5, 1000, 7, 8]  # user nice system idle iowait irq softirq steal guest guest_nice
    fields = " ".join(str(seconds * ticks) for seconds in told)
    (tmp_path / "stat").write_text(f"cpu  {fields}\ncpu0 {fields}\nintr 1 2 3\n")
    time = NodeCpuTime(tmp_path)
    try:
        assert time.busy_seconds() == 1 + 2 + 3 + 4 + 5
    finally:
        time.close()


def test_this_machine_s_time_goes_on() -> None:
    time = NodeCpuTime()
    try:
        first = time.busy_seconds()
        while time.busy_seconds() == first:
            pass
    finally:
        time.close()
