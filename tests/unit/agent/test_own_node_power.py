"""What the operator asks of this node: known after a restart too, and nothing once its NodePower is deleted."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest

from ballast.agent.node.node_power import FILE, OwnNodePower
from ballast.api.nodepower import FreeGpus, NodePowerSpec, PodOperatingPoint, WithoutOperator
from tests.power_builders import manifest, point

NOTHING = NodePowerSpec()
HOLD = NodePowerSpec(
    pods=(PodOperatingPoint(uid="1", operating_point=point(150)),), without_operator=WithoutOperator.HOLD
)


def power(spec: NodePowerSpec = NOTHING, *, generation: int = 1, uid: str = "first") -> dict[str, Any]:
    """The NodePower as the API server has it."""
    made = manifest("a", uid=uid) | {"spec": spec.to_manifest()}
    made["metadata"]["generation"] = generation
    return made


INVALID = power() | {"spec": {"freeGpus": "Perhaps"}}


@pytest.fixture
def news() -> list[int]:
    return []


@pytest.fixture
def own(tmp_path: Path, news: list[int]) -> OwnNodePower:
    return OwnNodePower(tmp_path / "state", lambda: news.append(1))


def restarted(tmp_path: Path) -> OwnNodePower:
    return OwnNodePower(tmp_path / "state")


def test_at_first_nothing_is_known(own: OwnNodePower) -> None:
    assert own.spec is None
    assert not own.is_known
    assert not own.exists.is_set()


def test_a_list_tells_what_is_asked(own: OwnNodePower, news: list[int]) -> None:
    own.listed([power(HOLD, generation=4)])
    assert own.spec == HOLD
    assert own.generation == 4
    assert own.is_known
    assert own.exists.is_set()
    assert len(news) == 1


def test_that_nothing_is_asked_is_news_the_first_time(own: OwnNodePower, news: list[int]) -> None:
    own.listed([power()])
    assert own.spec == NOTHING
    assert len(news) == 1


def test_a_change_is_news(own: OwnNodePower, news: list[int]) -> None:
    own.listed([power(generation=1)])
    own.changed("MODIFIED", power(HOLD, generation=2))
    assert (own.spec, own.generation) == (HOLD, 2)
    assert len(news) == 2


def test_what_asks_the_same_is_none(own: OwnNodePower, news: list[int]) -> None:
    """Each status that the agent itself writes comes back as a change."""
    own.listed([power(HOLD)])
    own.changed("MODIFIED", power(HOLD))
    own.listed([power(HOLD)])
    assert len(news) == 1


def test_the_generation_moves_without_news(own: OwnNodePower) -> None:
    own.listed([power(HOLD, generation=1)])
    own.changed("MODIFIED", power(HOLD, generation=2))
    assert own.generation == 2


def test_an_invalid_one_keeps_what_was_asked(own: OwnNodePower, news: list[int]) -> None:
    own.listed([power(HOLD, generation=1)])
    own.changed("MODIFIED", INVALID)
    assert (own.spec, own.generation) == (HOLD, 1)
    assert len(news) == 1


def test_an_invalid_one_is_not_known(own: OwnNodePower) -> None:
    own.listed([INVALID])
    assert own.spec is None
    assert not own.is_known


@pytest.mark.parametrize("by_list", [True, False])
def test_a_deleted_one_asks_for_nothing(own: OwnNodePower, news: list[int], by_list: bool) -> None:
    own.listed([power(HOLD)])
    if by_list:
        own.listed([])
    else:
        own.changed("DELETED", power(HOLD))
    assert own.spec == NOTHING
    assert own.generation is None
    assert not own.exists.is_set()
    assert len(news) == 2


def test_one_that_was_never_there_is_unknown_and_no_news(own: OwnNodePower, news: list[int]) -> None:
    own.listed([])
    assert own.spec is None
    assert news == []


def test_one_that_is_made_again_is_news_even_if_it_asks_the_same(own: OwnNodePower, news: list[int]) -> None:
    """The new object has no status yet."""
    own.listed([power(uid="first")])
    own.changed("DELETED", power(uid="first"))
    own.changed("ADDED", power(uid="second"))
    assert own.exists.is_set()
    assert own.uid == "second"
    assert len(news) == 2


# -- on the disk


def test_what_is_asked_outlives_the_process(own: OwnNodePower, tmp_path: Path) -> None:
    """So that `Hold` holds while the API server is away."""
    own.listed([power(HOLD)])
    again = restarted(tmp_path)
    assert again.spec == HOLD
    assert not again.is_known
    assert again.generation is None


def test_the_newest_is_kept(own: OwnNodePower, tmp_path: Path) -> None:
    own.listed([power(HOLD)])
    parked = NodePowerSpec(free_gpus=FreeGpus.PARK)
    own.changed("MODIFIED", power(parked))
    assert restarted(tmp_path).spec == parked


def test_that_it_was_deleted_is_kept(own: OwnNodePower, tmp_path: Path) -> None:
    own.listed([power(HOLD)])
    own.changed("DELETED", power(HOLD))
    assert restarted(tmp_path).spec == NOTHING


def test_one_that_was_deleted_while_no_agent_ran_asks_for_nothing(own: OwnNodePower, tmp_path: Path) -> None:
    own.listed([power(HOLD)])
    again = restarted(tmp_path)
    again.listed([])
    assert again.spec == NOTHING


def test_what_is_seen_first_after_a_restart_is_news(own: OwnNodePower, tmp_path: Path) -> None:
    own.listed([power(HOLD)])
    news: list[int] = []
    again = OwnNodePower(tmp_path / "state", lambda: news.append(1))
    again.listed([power(HOLD)])
    assert again.is_known
    assert len(news) == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"freeGpus": "Perhaps"}', '{"pods": 1}', "\x00\xff"])
def test_a_file_that_makes_no_sense_is_as_good_as_none(tmp_path: Path, content: str) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    (folder / FILE).write_text(content, encoding="latin-1")
    assert restarted(tmp_path).spec is None


def test_only_root_reads_the_folder(own: OwnNodePower, tmp_path: Path) -> None:
    own.listed([power(HOLD)])
    assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
    assert [path.name for path in (tmp_path / "state").iterdir()] == [FILE], "nothing unfinished is left"


def test_a_disk_that_cannot_be_written_stops_nothing(tmp_path: Path, news: list[int]) -> None:
    (tmp_path / "state").write_text("in the way")
    own = OwnNodePower(tmp_path / "state", lambda: news.append(1))
    own.listed([power(HOLD)])
    assert own.spec == HOLD
    assert len(news) == 1
