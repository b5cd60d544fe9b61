"""Which point each GPU shall have: of its holders the loosest, of a stale operator's nothing or what is set."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import pytest

from ballast.agent.capping.assignments import AS_FOUND, Wanted, assign
from ballast.agent.device import Description, MigDevice
from ballast.api.nodepower import FreeGpus, NodePowerSpec, PodOperatingPoint, WithoutOperator
from ballast.api.nodestatus import Capability
from ballast.api.operatingpoint import OperatingPoint
from tests.unit.agent.capping import point
from tests.unit.agent.fake_gpu import ALL_CAPABILITIES, MHZ, description

GPUS = {"GPU-0": description("GPU-0"), "GPU-1": description("GPU-1")}
DIVIDED = {
    "GPU-0": description("GPU-0", mig_enabled=True, mig=(MigDevice("MIG-a", 3, 7), MigDevice("MIG-b", 4, 7))),
}


def spec(
    points: Mapping[str, OperatingPoint] | None = None,
    free: FreeGpus = FreeGpus.LEAVE,
    without: WithoutOperator = WithoutOperator.RESTORE,
) -> NodePowerSpec:
    return NodePowerSpec(
        pods=tuple(PodOperatingPoint(uid=uid, operating_point=one) for uid, one in (points or {}).items()),
        free_gpus=free,
        without_operator=without,
    )


def fresh(
    asked: NodePowerSpec, holders: Mapping[str, Collection[str]], gpus: Mapping[str, Description] = GPUS
) -> Mapping[str, Wanted]:
    wanted = assign(asked, holders, gpus, operator_fresh=True)
    assert wanted is not None
    return wanted


def one(pods: Mapping[str, OperatingPoint], *holders: str, gpu: Description = GPUS["GPU-0"]) -> Wanted:
    """What a single GPU with these holders shall have."""
    return fresh(spec(pods), {gpu.uuid: holders}, {gpu.uuid: gpu})[gpu.uuid]


# -- who is touched


def test_a_pod_that_holds_a_gpu_gets_its_point() -> None:
    """Only the GPU that it holds; the others stay as they were found."""
    wanted = fresh(spec({"p": point(150)}), {"GPU-1": ["p"]})
    assert wanted == {"GPU-0": AS_FOUND, "GPU-1": Wanted(point(150))}


def test_an_entry_without_a_gpu_does_nothing() -> None:
    """A pod that is gone, or not here yet, moves nothing."""
    assert set(fresh(spec({"p": point(150)}), {}).values()) == {AS_FOUND}


def test_a_holder_without_an_entry_is_left_alone() -> None:
    """Whoever is not in the spec keeps what was found."""
    assert one({"p": point(150)}, "q") == AS_FOUND


def test_holders_of_unknown_gpus_do_nothing() -> None:
    """What the kubelet says of GPUs that nobody described is not for us."""
    assert set(fresh(spec({"p": point(150)}), {"GPU-9": ["p"]}).values()) == {AS_FOUND}


# -- several pods


def test_the_loosest_wins_part_by_part() -> None:
    """Each part is the loosest that any of the pods asks for."""
    pods = {"p": point(150, 900, 810), "q": point(180, 600, 405)}
    assert one(pods, "p", "q").point == point(180, 900, 810)


def test_an_absent_part_is_the_loosest() -> None:
    """A part that one pod leaves out stays as it was found."""
    assert one({"p": point(150, 900), "q": point(180)}, "p", "q").point == point(180)
    assert one({"p": point(150), "q": point(None, 600)}, "p", "q") == AS_FOUND


def test_a_sharing_pod_without_an_entry_is_the_loosest() -> None:
    """Nobody is slowed for a neighbour."""
    assert one({"p": point(150)}, "p", "q") == AS_FOUND


def test_a_divided_board_is_shared_by_all_its_parts() -> None:
    """The limit and the clocks of a MIG GPU concern all who hold a part of it."""
    pods = spec({"p": point(150), "q": point(180)})
    assert fresh(pods, {"MIG-a": ["p"], "MIG-b": ["q"]}, DIVIDED)["GPU-0"].point == point(180)
    assert fresh(pods, {"MIG-a": ["p"]}, DIVIDED)["GPU-0"].point == point(150)
    assert fresh(pods, {"MIG-a": ["p"], "MIG-b": ["other"]}, DIVIDED)["GPU-0"] == AS_FOUND
    assert fresh(pods, {"GPU-0": ["p", "q"]}, DIVIDED)["GPU-0"].point == point(180)


# -- what the board takes


def test_clocks_snap_down() -> None:
    """A clock that the board does not know becomes the next lower one that it knows."""
    assert one({"p": point(None, 1000)}, "p").point == point(None, 900)
    assert one({"p": point(None, 210)}, "p").point == point(None, 210)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (point(99), "powerLimitWatts 99 is outside the 100 to 300 W"),
        (point(301, 900), "powerLimitWatts 301 is outside the 100 to 300 W"),
        (point(150, 1500), "maxClockHertz 1500000000 is outside the 210 to 1410 MHz"),
        (
            OperatingPoint(min_clock_hertz=100 * MHZ, max_clock_hertz=900 * MHZ),
            "minClockHertz 100000000 is outside the 210 to 1410 MHz",
        ),
        (point(150, 900, 811), "memoryClockHertz 811000000: NVIDIA-Fake has only memory clocks of 405, 810, 1215 MHz"),
    ],
)
def test_outside_the_range(asked: OperatingPoint, said: str) -> None:
    """The point is refused whole, and the problem names pod, field, value, range and remedy."""
    wanted = one({"p": asked}, "p")
    assert wanted.point is None
    assert wanted.problem is not None
    assert wanted.problem.startswith(f"the operating point of pod p is not set: {said}")
    assert "choose" in wanted.problem
    assert len(wanted.problem) <= 256


@pytest.mark.parametrize(
    ("lacking", "asked", "said"),
    [
        (Capability.POWER_LIMIT, point(150), "takes no power limit; leave the power limit out"),
        (Capability.LOCKED_CLOCKS, point(150, 900), "cannot be locked; leave the clocks out"),
        (Capability.LOCKED_MEMORY_CLOCKS, point(150, None, 810), "cannot lock its memory clock; leave it out"),
    ],
)
def test_what_the_board_cannot(lacking: Capability, asked: OperatingPoint, said: str) -> None:
    """A part that the board cannot do refuses the point whole."""
    wanted = one({"p": asked}, "p", gpu=description(capabilities=ALL_CAPABILITIES - {lacking}))
    assert wanted.point is None
    assert said in (wanted.problem or "")


def test_a_refused_point_asks_for_nothing() -> None:
    """On a shared GPU it counts as what was found, which is the loosest."""
    wanted = one({"p": point(99), "q": point(150)}, "p", "q")
    assert wanted.point is None
    assert "pod p" in (wanted.problem or "")


def test_limits_at_the_ends_of_the_range() -> None:
    """Both ends can be set, also after rounding on the way."""
    assert one({"p": point(100)}, "p").point == point(100)
    assert one({"p": point(300.0000001)}, "p").point == point(300)


# -- free GPUs


def test_free_gpus_are_parked() -> None:
    """Asked to, a GPU that nobody holds goes to its lowest clock; one that somebody holds does not."""
    wanted = fresh(spec(free=FreeGpus.PARK), {"GPU-0": ["anybody"]})
    assert wanted == {"GPU-0": AS_FOUND, "GPU-1": Wanted(point(None, 210))}


@pytest.mark.parametrize(
    "gpu",
    [
        DIVIDED["GPU-0"],
        description(mig_enabled=True),
        description(capabilities=ALL_CAPABILITIES - {Capability.LOCKED_CLOCKS}),
        description(clock_hertz=None),
    ],
    ids=["divided", "to be divided", "no locks", "no clocks told"],
)
def test_what_is_not_parked(gpu: Description) -> None:
    """A GPU whose clocks cannot be locked, or that is divided, is left alone."""
    assert fresh(spec(free=FreeGpus.PARK), {}, {gpu.uuid: gpu})[gpu.uuid] == AS_FOUND


# -- without an operator


def stale(
    asked: NodePowerSpec | None,
    holders: Mapping[str, Collection[str]] | None,
    enforced: Mapping[str, OperatingPoint] | None = None,
) -> Mapping[str, Wanted] | None:
    return assign(asked, holders, GPUS, operator_fresh=False, enforced=enforced)


def test_restore_wants_nothing() -> None:
    """No operator, no caps and no parking; whoever holds what, known or not."""
    asked = spec({"p": point(150)}, free=FreeGpus.PARK)
    for holders in ({"GPU-0": ["p"]}, None):
        assert stale(asked, holders, {"GPU-0": point(150)}) == {"GPU-0": AS_FOUND, "GPU-1": AS_FOUND}
    assert stale(None, None) == {"GPU-0": AS_FOUND, "GPU-1": AS_FOUND}


HOLD = spec({"p": point(150, 900), "q": point(200)}, without=WithoutOperator.HOLD)


def test_hold_keeps_points() -> None:
    """What is set for a pod that holds its GPU stays; what it was promised holds for a pod that comes only now."""
    wanted = stale(HOLD, {"GPU-0": ["p"], "GPU-1": ["q"]}, {"GPU-0": point(150, 900)})
    assert wanted == {"GPU-0": Wanted(point(150, 900)), "GPU-1": Wanted(point(200))}


@pytest.mark.parametrize("newcomer", ["q", "stranger"])
def test_hold_loosens_nothing(newcomer: str) -> None:
    """A pod that comes to share a GPU does not loosen what is set on it."""
    wanted = stale(HOLD, {"GPU-0": ["p", newcomer]}, {"GPU-0": point(150, 900)})
    assert wanted is not None
    assert wanted["GPU-0"].point == point(150, 900)


def test_hold_ends_with_the_pod() -> None:
    """No GPU stays capped for a pod that is gone."""
    for holders in ({}, {"GPU-0": ["stranger"]}):
        assert stale(HOLD, holders, {"GPU-0": point(150, 900)}) == {"GPU-0": AS_FOUND, "GPU-1": AS_FOUND}


# -- what is not known yet


@pytest.mark.parametrize(("asked", "holders"), [(None, {}), (spec(), None), (None, None)])
def test_nothing_is_known_yet(asked: NodePowerSpec | None, holders: Mapping[str, Collection[str]] | None) -> None:
    """Until spec and holders are known, all stays as it is."""
    assert assign(asked, holders, GPUS, operator_fresh=True) is None


def test_holding_without_knowing_who() -> None:
    """Hold without the kubelet's word keeps all as it is, too."""
    assert stale(HOLD, None) is None
