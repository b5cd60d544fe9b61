"""What each pod's GPU had, followed through the NodePowers."""

from __future__ import annotations

from tests.demo.node_powers import HeldGpus, gpus
from tests.unit.demo.power_builders import gpu, gpu_status, node_power


def test_a_node_without_an_agent_tells_of_no_gpus() -> None:
    assert gpus({"metadata": {"name": "bare"}}) == []


def test_a_gpu_that_was_left_alone_has_the_limit_that_was_found() -> None:
    [told] = gpus(node_power(gpu_status())["object"])
    assert (told.found_watts, told.enforced_watts, told.limit_watts) == (250, None, 250)


def test_a_gpu_that_tells_no_power_limit() -> None:
    [told] = gpus({"metadata": {"name": "node"}, "status": {"gpus": [{"uuid": "GPU-1", "model": "X"}]}})
    assert told.limit_watts is None


def test_a_moment_is_not_told_to_the_millisecond() -> None:
    assert gpu().how_soon == ""
    assert gpu(delay_seconds=0.004).how_soon == "less than 0.1 s after it was asked for"
    assert gpu(delay_seconds=1.26).how_soon == "1.3 s after it was asked for"


def test_each_change_of_a_limit_is_told_once() -> None:
    held = HeldGpus()
    capped = node_power(gpu_status(enforced=150, holders=["pod"]))
    assert held.see(node_power(gpu_status(), kind="ADDED")) == []
    assert held.see(capped) == [
        "power limit 250 W → 150 W on real-v100, read back from the board, 0.2 s after it was asked for"
    ]
    assert held.see(capped) == []
    assert held.see(node_power(gpu_status())) == ["power limit 150 W → 250 W on real-v100, put back as it was found"]


def test_a_status_that_tells_of_the_board_a_moment_late_changes_nothing() -> None:
    held = HeldGpus()
    held.see(node_power(gpu_status()))
    held.see(node_power(gpu_status(enforced=150)))
    assert held.see(node_power({**gpu_status(), "powerLimit": {"foundWatts": 150}})) == []
    assert held.see(node_power(gpu_status())) == ["power limit 150 W → 250 W on real-v100, put back as it was found"]


def test_an_agent_that_begins_anew_changes_no_limit() -> None:
    held = HeldGpus()
    held.see(node_power(gpu_status(enforced=150)))
    assert held.see(node_power({"uuid": "GPU-1", "model": "V100"})) == []
    assert held.see(node_power(gpu_status(enforced=150))) == []


def test_a_limit_that_no_agent_set_is_somebody_elses() -> None:
    held = HeldGpus()
    held.see(node_power(gpu_status()))
    other = {**gpu_status(), "powerLimit": {"foundWatts": 200}}
    assert held.see(node_power(other)) == ["power limit 250 W → 200 W on real-v100, set by somebody else"]


def test_a_pods_limit_is_remembered_when_its_gpu_was_put_back_while_it_still_held_it() -> None:
    held = HeldGpus()
    held.see(node_power(gpu_status(enforced=150, holders=["pod"])))
    held.see(node_power(gpu_status(holders=["pod"])))
    held.see(node_power(gpu_status()))
    assert [each.limit_watts for each in held.of_pod("pod")] == [150]


def test_a_limit_that_comes_while_the_pod_holds_its_gpu_counts() -> None:
    held = HeldGpus()
    held.see(node_power(gpu_status(holders=["pod"])))
    held.see(node_power(gpu_status(enforced=150, holders=["pod"])))
    assert [each.enforced_watts for each in held.of_pod("pod")] == [150]


def test_another_pods_limit_on_the_same_gpu_is_not_its_own() -> None:
    held = HeldGpus()
    held.see(node_power(gpu_status(enforced=150, holders=["first"])))
    held.see(node_power(gpu_status(holders=["second"])))
    assert [each.enforced_watts for each in held.of_pod("second")] == [None]
    assert held.of_pod("third") == []


def test_errors_and_deletions_in_the_watch_are_left_out() -> None:
    held = HeldGpus()
    assert held.see({"type": "ERROR", "object": {"code": 410}}) == []
    assert held.see(node_power(gpu_status(), kind="DELETED")) == []
    assert held.see(node_power(gpu_status(enforced=150))) == []
