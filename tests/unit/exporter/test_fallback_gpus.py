"""GPUs that the container sees are counted by their energy counters, or by adding up their power; nothing is set."""

from __future__ import annotations

import ctypes
import sys

import pytest

from ballast.api.source import Component, Source
from ballast.exporter.fallback import CpuEstimate, Fallback, NvmlMeter, visible_gpus
from ballast.exporter.totals import Key, Pair
from tests.unit.exporter.fakes import Board, Clock, Nvml

GPU = Key(Component.GPU, "GPU-1")


def metered(board: Board, clock: Clock) -> NvmlMeter:
    return NvmlMeter(Nvml(board), clock.steady)


def test_the_energy_counter_counts() -> None:
    board, clock = Board(), Clock()
    meter = metered(board, clock)
    board.millijoules, board.milliwatts = 1_002_500, 90_000
    counted = meter.read()
    assert counted.joules == {GPU: Pair(active=2.5)}
    assert (counted.sources, counted.watts, counted.limits) == (
        {GPU: Source.COUNTER},
        {GPU: 90.0},
        {"GPU-1": 300.0},
    )


def test_a_counter_that_begins_anew_takes_nothing_away() -> None:
    board, clock = Board(), Clock()
    meter = metered(board, clock)
    board.millijoules = 5
    assert meter.read().joules == {GPU: Pair(0.0)}
    board.millijoules = 1_005
    assert meter.read().joules == {GPU: Pair(1.0)}


def test_without_a_counter_power_adds_up() -> None:
    board, clock = Board(millijoules=None), Clock()
    meter = metered(board, clock)
    board.milliwatts = 200_000
    clock.advance(10.0)
    counted = meter.read()
    assert counted.joules == {GPU: Pair(1_500.0)}
    assert counted.sources == {GPU: Source.INTEGRAL}


def test_power_of_long_ago_adds_nothing_up() -> None:
    board, clock = Board(millijoules=None), Clock()
    meter = metered(board, clock)
    clock.advance(61.0)
    assert meter.read().joules == {}


def test_a_gpu_that_tells_nothing_is_left_out() -> None:
    board, clock = Board(), Clock()
    meter = metered(board, clock)
    board.millijoules = board.milliwatts = board.limit = None
    counted = meter.read()
    assert (counted.joules, counted.watts, counted.limits) == ({}, {}, {})


def test_a_divided_gpu_is_left_out() -> None:
    assert len(metered(Board(is_divided=True), Clock())) == 0


def test_a_gap_begins_with_the_first_look_and_ends_when_the_agent_counts() -> None:
    board, clock = Board(), Clock()
    nvml = Nvml(board)
    fallback = Fallback(CpuEstimate(lambda: None, 1_000.0, clock.steady), lambda: NvmlMeter(nvml, clock.steady))
    assert fallback.read().joules[GPU] == Pair(0.0)
    board.millijoules = 1_004_000
    assert fallback.read().joules[GPU] == Pair(4.0)
    fallback.rest()
    assert nvml.open == 0
    board.millijoules = 9_000_000
    assert fallback.read().joules[GPU] == Pair(0.0)


def test_where_there_is_no_driver_pynvml_is_not_even_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise OSError(f"{name}: cannot open shared object file")

    monkeypatch.setattr(ctypes, "CDLL", missing)
    monkeypatch.delitem(sys.modules, "pynvml", raising=False)
    assert visible_gpus() is None
    assert "pynvml" not in sys.modules
