"""Totals follow the agent's account, and never fall when exporter or agent begin anew."""

from __future__ import annotations

import json

import pytest

from ballast.api.finalreading import Joules
from ballast.api.source import Component, Source
from ballast.exporter.readings import Readings, Share
from ballast.exporter.totals import Key, Pair, Totals

GPU = Key(Component.GPU, "GPU-1")
CPU = Key(Component.CPU)


def readings(since: float = 1_000.0, **joules: tuple[float, float]) -> Readings:
    """What the agent says of a GPU and the CPU."""
    shares = tuple(
        Share(Component(name), active, idle, watts=1.0, source=Source.COUNTER, uuid="GPU-1" if name == "gpu" else "")
        for name, (active, idle) in joules.items()
    )
    return Readings("uid-1", at=since + 1, since=since, shares=shares)


def of(totals: Totals, component: Component = Component.GPU) -> tuple[float, float]:
    found = totals.joules()[component]
    return found.active, found.idle


def restarted(totals: Totals) -> Totals:
    """The same after the exporter began anew."""
    return Totals.restored(json.loads(json.dumps(totals.to_json())))


def test_totals_are_what_the_account_says() -> None:
    totals = Totals()
    totals.take(readings(gpu=(10.0, 2.0), cpu=(5.0, 0.0)))
    totals.take(readings(gpu=(30.0, 4.0), cpu=(6.0, 0.0)))
    assert totals.joules() == {Component.GPU: Joules(30.0, 4.0), Component.CPU: Joules(6.0, 0.0)}


def test_an_agent_restored_from_an_older_file_makes_no_total_fall() -> None:
    totals = Totals()
    totals.take(readings(gpu=(30.0, 4.0)))
    totals.take(readings(gpu=(25.0, 3.0)))
    assert of(totals) == (30.0, 4.0)
    totals.take(readings(gpu=(40.0, 6.0)))
    assert of(totals) == (40.0, 6.0)


def test_a_lost_account_is_added_to_by_the_next_one() -> None:
    totals = Totals()
    totals.take(readings(gpu=(30.0, 4.0)))
    totals.take(readings(since=2_000.0, gpu=(1.0, 0.5)))
    assert of(totals) == (31.0, 4.5)
    totals.take(readings(since=2_000.0, gpu=(100.0, 1.0)))
    assert of(totals) == (130.0, 5.0)


def test_accounts_may_be_lost_again_and_again() -> None:
    totals = Totals()
    for number in range(5):
        totals.take(readings(since=1_000.0 * (number + 1), gpu=(10.0, 0.0)))
    assert of(totals) == (50.0, 0.0)


def test_a_new_account_that_does_not_know_a_gpu_leaves_its_total() -> None:
    totals = Totals()
    totals.take(readings(gpu=(30.0, 4.0), cpu=(2.0, 0.0)))
    totals.take(readings(since=2_000.0, cpu=(1.0, 0.0)))
    assert (of(totals), of(totals, Component.CPU)) == ((30.0, 4.0), (3.0, 0.0))


def test_a_restart_of_the_exporter_changes_nothing() -> None:
    totals = Totals()
    totals.take(readings(gpu=(30.0, 4.0)))
    totals.take(readings(since=2_000.0, gpu=(1.0, 0.0)))
    totals = restarted(totals)
    assert of(totals) == (31.0, 4.0)
    totals.take(readings(since=2_000.0, gpu=(2.0, 0.0)))
    assert of(totals) == (32.0, 4.0)


def test_until_when_they_count_is_known_after_a_restart() -> None:
    totals = Totals()
    assert totals.at is None
    totals.take(readings(since=2_000.0, gpu=(1.0, 0.0)))
    assert restarted(totals).at == 2_001.0
    totals.add({GPU: Pair(1.0)}, {GPU: Source.ESTIMATED}, at=2_050.0)
    assert restarted(totals).at == 2_050.0


def test_an_account_lost_while_the_exporter_was_away_is_noticed() -> None:
    totals = Totals()
    totals.take(readings(gpu=(30.0, 4.0)))
    totals = restarted(totals)
    totals.take(readings(since=2_000.0, gpu=(90.0, 0.0)))
    assert of(totals) == (120.0, 4.0)


def test_gpus_are_told_apart_and_parts_of_one_are_added_up() -> None:
    totals = Totals()
    whole = Share(Component.GPU, 5.0, 1.0, 0.0, Source.COUNTER, uuid="GPU-1")
    parts = [Share(Component.GPU, 2.0, 0.0, 0.0, Source.INTEGRAL, "GPU-2", mig) for mig in ("MIG-1", "MIG-2")]
    totals.take(Readings("uid-1", 0.0, 0.0, (whole, *parts)))
    assert totals.gpu_joules() == {"GPU-1": 6.0, "GPU-2": 4.0}
    assert totals.joules() == {Component.GPU: Joules(9.0, 1.0, Source.INTEGRAL)}


def test_the_source_is_the_worst_of_the_parts() -> None:
    totals = Totals()
    totals.add({GPU: Pair(1.0), CPU: Pair(1.0)}, {GPU: Source.INTEGRAL, CPU: Source.ESTIMATED}, at=5.0)
    totals.add({Key(Component.GPU, "GPU-2"): Pair(1.0)}, {Key(Component.GPU, "GPU-2"): Source.COUNTER}, at=6.0)
    assert totals.joules()[Component.GPU].source is Source.INTEGRAL
    assert totals.joules()[Component.CPU].source is Source.ESTIMATED


@pytest.mark.parametrize(
    "saved",
    [
        {},
        {"at": None, "since": "x", "totals": [], "gap": []},
        {"at": "x", "since": None, "totals": [], "gap": []},
        {"at": None, "since": None, "totals": [["gpu"]], "gap": []},
        {"at": None, "since": None, "totals": [["sun", "", "", 0, 0, 0, 0, "Counter"]], "gap": []},
        {"at": None, "since": None, "totals": [], "gap": [3]},
    ],
)
def test_what_was_not_saved_so_is_refused(saved: dict[str, object]) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Totals.restored(saved)
