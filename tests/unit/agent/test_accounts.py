"""A pod's account: opened when it comes, charged, told, kept for a while after it is gone, and bounded."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ballast.agent.metering import accounts as accounts_module
from ballast.agent.metering.accounts import FRESH_SECONDS, KEPT_SECONDS, Accounts
from ballast.agent.node.pods import PodOnNode
from ballast.api.operatingpoint import MAX_GPUS_OF_NODE
from ballast.api.readings import Source

EPOCH = 1_800_000_000.0
UID = "5fd4f087-86f3-4a43-b711-4771313afc50"


class Clock:
    """Passes when told to."""

    def __init__(self) -> None:
        self.now = EPOCH

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    """The clock of the accounts."""
    return Clock()


@pytest.fixture
def accounts(clock: Clock) -> Accounts:
    """The accounts of a node with one pod."""
    made = Accounts("node", clock)
    made.follow(pods(UID))
    return made


def pods(*uids: str) -> dict[str, PodOnNode]:
    return {uid: PodOnNode(uid, "team", f"pod-{uid[:4]}", ended=False) for uid in uids}


def test_charges_add_up_and_watts_are_the_latest(accounts: Accounts, clock: Clock) -> None:
    accounts.charge_gpu(UID, ("GPU-0", None), 100, 20, 120, Source.COUNTER)
    clock.now += 1
    accounts.charge_gpu(UID, ("GPU-0", None), 50, 20, 70, Source.INTEGRAL)
    accounts.charge_cpu(UID, 7, 7, Source.ESTIMATED)
    accounts.charge_dram(UID, 3, 3, Source.COUNTER)
    accounts.note_limit("GPU-0", 250)
    readings = accounts.readings(UID)
    assert readings is not None
    (gpu,) = readings.gpus
    assert (gpu.active_joules, gpu.idle_joules, gpu.watts, gpu.source) == (150, 40, 70, Source.INTEGRAL)
    assert gpu.power_limit_watts == 250
    assert readings.cpu is not None
    assert (readings.cpu.active_joules, readings.cpu.source) == (7, Source.ESTIMATED)
    assert readings.dram is not None
    assert (readings.joules, readings.watts) == (200, 80)
    assert (readings.namespace, readings.name, readings.node) == ("team", "pod-5fd4", "node")
    assert readings.since == datetime.fromtimestamp(EPOCH, UTC)


def test_it_says_until_when_everything_is_charged(accounts: Accounts, clock: Clock) -> None:
    def told() -> float:
        readings = accounts.readings(UID)
        assert readings is not None
        return readings.at.timestamp()

    assert told() == EPOCH  # when the pod came
    clock.now += 1.0625
    accounts.follow(pods(UID))
    clock.now += 0.5  # until which it took to read, and which is charged next time
    accounts.conclude({UID}, (), ())
    clock.now += 0.5
    assert told() == EPOCH + 1.062
    accounts.follow(pods(UID))
    accounts.conclude({UID}, {UID}, ())  # something of it could not be read
    assert told() == EPOCH + 1.062


def test_a_pod_that_used_nothing_is_told_so(accounts: Accounts) -> None:
    readings = accounts.readings(UID)
    assert readings is not None
    assert (readings.joules, readings.gpus, readings.cpu, readings.dram) == (0, (), None, None)


def test_a_pod_that_is_not_known_is_not_told_of(accounts: Accounts) -> None:
    assert accounts.readings("another") is None


def test_watts_are_over_when_charges_end_and_joules_stay(accounts: Accounts, clock: Clock) -> None:
    accounts.charge_gpu(UID, ("GPU-0", None), 100, 0, 100, Source.COUNTER)
    clock.now += FRESH_SECONDS + 1
    readings = accounts.readings(UID)
    assert readings is not None
    assert (readings.watts, readings.joules) == (0, 100)


def test_parts_of_gpus_are_kept_apart(accounts: Accounts) -> None:
    for key in (("GPU-0", None), ("GPU-1", "MIG-a"), ("GPU-1", "MIG-b")):
        accounts.charge_gpu(UID, key, 1, 0, 1, Source.COUNTER)
    readings = accounts.readings(UID)
    assert readings is not None
    assert [(gpu.uuid, gpu.mig_device) for gpu in readings.gpus] == [
        ("GPU-0", None),
        ("GPU-1", "MIG-a"),
        ("GPU-1", "MIG-b"),
    ]


def test_a_pod_that_is_gone_is_told_of_for_some_time(accounts: Accounts, clock: Clock) -> None:
    accounts.charge_gpu(UID, ("GPU-0", None), 100, 0, 100, Source.COUNTER)
    accounts.follow({})
    clock.now += KEPT_SECONDS
    accounts.follow({})
    assert accounts.readings(UID) is not None
    clock.now += 1
    accounts.follow({})
    assert accounts.readings(UID) is None
    assert len(accounts) == 0


def test_a_pod_that_was_gone_by_mistake_goes_on(accounts: Accounts, clock: Clock) -> None:
    accounts.charge_cpu(UID, 5, 5, Source.COUNTER)
    accounts.follow({})
    clock.now += KEPT_SECONDS
    accounts.follow(pods(UID))
    clock.now += KEPT_SECONDS
    accounts.follow(pods(UID))
    readings = accounts.readings(UID)
    assert readings is not None
    assert readings.joules == 5


def test_there_is_a_most_and_those_who_are_gone_go_first(
    accounts: Accounts, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts_module, "MOST_ACCOUNTS", 2)
    accounts.follow(pods("gone-first"))
    clock.now += 1
    accounts.follow(pods("stays"))
    accounts.follow(pods("stays", "new"))
    assert len(accounts) == 2
    assert accounts.readings("stays") is not None
    assert accounts.readings("new") is not None


def test_then_those_who_ended_and_those_who_run_last(
    accounts: Accounts, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(accounts_module, "MOST_ACCOUNTS", 2)
    clock.now += 1
    accounts.follow(pods(UID, "held"))
    accounts.follow(pods(UID), {"held"})
    accounts.follow(pods(UID, "gone"), {"held"})
    assert [accounts.readings(uid) is not None for uid in (UID, "held", "gone")] == [True, False, True]
    accounts.follow(pods("gone"), {UID})
    clock.now += 1
    accounts.follow(pods("new"), {UID})
    assert [accounts.readings(uid) is not None for uid in (UID, "gone", "new")] == [True, False, True]


def test_a_reading_holds_no_more_gpus_than_a_node_has(accounts: Accounts, clock: Clock) -> None:
    for number in range(MAX_GPUS_OF_NODE + 5):
        clock.now += 1
        accounts.charge_gpu(UID, (f"GPU-{number}", None), 1, 0, 1, Source.COUNTER)
    readings = accounts.readings(UID)
    assert readings is not None
    assert len(readings.gpus) == MAX_GPUS_OF_NODE
    assert readings.gpus[-1].uuid == f"GPU-{MAX_GPUS_OF_NODE + 4}"


def test_what_is_saved_is_what_is_restored(accounts: Accounts, clock: Clock) -> None:
    accounts.charge_gpu(UID, ("GPU-0", "MIG-a"), 100, 20, 120, Source.INTEGRAL)
    accounts.charge_cpu(UID, 7, 7, Source.ESTIMATED)
    accounts.charge_dram(UID, 3, 3, Source.COUNTER)
    another = Accounts("node", clock)
    another.restore(accounts.to_json())
    assert another.to_json() == accounts.to_json()
    readings = another.readings(UID)
    assert readings is not None
    assert (readings.joules, readings.watts) == (130, 0)
