"""The real `pynvml` on simulated boards: the fallback counts what a board draws, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ballast.api.source import Component, Source
from ballast.exporter.fallback import visible_gpus
from ballast.exporter.totals import Key
from tests.nvmlsim.boards import A40
from tests.unit.agent.nvml.simulated import simulated_node


def test_a_board_is_counted_and_left_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with simulated_node(tmp_path, monkeypatch) as node:
        simulator = node.boards(A40)
        (uuid,) = simulator.uuids
        simulator.advance(1.0)
        meter = visible_gpus()
        assert meter is not None
        try:
            before = simulator.truth(uuid).total_joules
            simulator.advance(60.0)
            counted, key = meter.read(), Key(Component.GPU, uuid)
            drawn = simulator.truth(uuid).total_joules - before
            assert counted.joules[key].active == pytest.approx(drawn, rel=0.01)
            assert counted.sources == {key: Source.COUNTER}
            assert counted.watts[key] == pytest.approx(drawn / 60.0, rel=0.05)
            assert counted.limits == {uuid: simulator.gpu(uuid).power_limit_watts}
            assert simulator.calls() == ()
        finally:
            meter.close()
