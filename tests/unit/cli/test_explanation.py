"""What is told of a job: exact text for each thing that can become of it."""

from __future__ import annotations

from ballast.api.conditions import ConditionType, Reason, set_condition
from ballast.api.decision import Decision, DecisionKind, LimitOption, PlacementOption
from ballast.api.jobstatus import (
    Attempt,
    ChosenPoint,
    EnergyStatus,
    Outcome,
    Phase,
    PodPlacement,
    QueueStatus,
)
from ballast.cli.explanation import render
from tests.builders import NOW, JobBuilder, at, job

LATER = NOW + 41 * 60
FULL = "needs 1 pod x 8 GPUs; A100 2 of 8 free, at most 2 on one node"


def explained(built: JobBuilder, now: float = LATER) -> str:
    return render(built.training_job(), now)


def decision(kind: DecisionKind, *options: PlacementOption, assumed: bool = True) -> Decision:
    return Decision(at=at(0), kind=kind, work_seconds=3600, work_is_assumed=assumed, options=options)


def queued() -> JobBuilder:
    built = job("train").with_gpus(8).told(Reason.WAITING_FOR_CAPACITY)
    conditions = set_condition(
        (), ConditionType.ADMITTED, False, Reason.WAITING_FOR_CAPACITY, FULL, generation=1, now=at(0)
    )
    return built.with_status(conditions=conditions)


def running() -> JobBuilder:
    built = job("train").with_gpus(4).replicas(2).running_on("node-a", "node-b")
    return built.with_status(
        placement=tuple(
            PodPlacement(pod=f"train-1-{index}", node=node, gpu_model="A100", gpus=4)
            for index, node in enumerate(("node-a", "node-b"))
        )
    )


A100 = PlacementOption(gpu_model="A100", nodes=2, power_limit_watts=225, joules=4.38e6, seconds=6120, wait_seconds=0)
H100 = PlacementOption(
    gpu_model="H100", nodes=1, joules=4.51e6, seconds=3780, wait_seconds=180, against="3 % more joules"
)
FULL_A100 = PlacementOption(gpu_model="A100", nodes=1, joules=8.76e6, against="no room: 2 of 8 free")


def test_a_job_that_nobody_has_seen() -> None:
    assert explained(job("train"), NOW + 5) == (
        "team/train: Pending since 2027-01-15 08:00:00 UTC (5 s ago)\nNo operator has looked at it yet.\n"
    )


def test_a_job_that_waits() -> None:
    built = queued().with_status(
        queue=QueueStatus(position=3, predicted_start=at(3600)), decision=decision(DecisionKind.WAITING, FULL_A100)
    )
    assert explained(built) == (
        """\
team/train: Queued since 2027-01-15 08:00:00 UTC (41 min ago)
WaitingForCapacity: needs 1 pod x 8 GPUs; A100 2 of 8 free, at most 2 on one node
Place in the queue: 3; its turn is predicted for 2027-01-15 09:00:00 UTC (in 19 min)

Considered 2027-01-15 08:00:00 UTC (41 min ago):
  GPU MODEL  NODES  LIMIT     ENERGY    TIME  OF IT WAITING  AGAINST
  A100       1      as found  2.43 kWh  -     -              no room: 2 of 8 free
Energy and time: predicted for 1 h of work on the fastest GPU model (assumed: nobody knows how long it takes)
"""
    )


def test_a_job_that_is_far_back_or_tried_again() -> None:
    failed = Attempt(number=1, started_at=at(-60), outcome=Outcome.FAILED, message="exit code 3")
    built = queued().with_status(queue=QueueStatus(position=500), retry_at=at(3000), attempts=(failed,))
    assert explained(built).splitlines()[2:] == [
        "Place in the queue: 500 at most",
        "The next attempt begins no sooner than 2027-01-15 08:50:00 UTC (in 9 min)",
        "Attempt 1 ended: Failed, exit code 3",
    ]


def test_a_job_that_runs_capped() -> None:
    limits = (
        LimitOption(
            power_limit_watts=200,
            joules_percent=-14.5,
            slowdown_percent=14,
            measured=False,
            against="too slow: 14 % > 10 %",
        ),
        LimitOption(power_limit_watts=225, joules_percent=-12, slowdown_percent=3, measured=True),
        LimitOption(
            power_limit_watts=300, joules_percent=0, slowdown_percent=0, measured=True, against="14 % more joules"
        ),
    )
    built = running().with_status(
        decision=decision(DecisionKind.PLACED, A100, H100, assumed=False),
        operating_point=ChosenPoint(
            power_limit_watts=225,
            since=at(600),
            lost_seconds=2.5,
            samples=7,
            why="225 W of 300 W: 12 % fewer joules for 3 % more time, measured",
            options=limits,
        ),
        energy=EnergyStatus(
            watts=790.25, joules=5_400_000, estimated_joules=3600, baseline_joules=6_000_000, saved_percent=10
        ),
    )
    assert explained(built) == (
        """\
team/train: Running since 2027-01-15 08:00:00 UTC (41 min ago)
PodsRunning

On node-a (4 A100), node-b (4 A100)

Placed 2027-01-15 08:00:00 UTC (41 min ago); considered:
   GPU MODEL  NODES  LIMIT     ENERGY    TIME        OF IT WAITING  AGAINST
*  A100       2      225 W     1.22 kWh  1 h 42 min  0 s            taken
   H100       1      as found  1.25 kWh  1 h 3 min   3 min          3 % more joules
Energy and time: predicted for 1 h of work on the fastest GPU model

Power limit of each GPU: 225 W since 2027-01-15 08:10:00 UTC, chosen by 7 measurements
225 W of 300 W: 12 % fewer joules for 3 % more time, measured
Until then the attempt took 2 s longer because limits were tried out.
   LIMIT  JOULES   TIME   KNOWN      AGAINST
   200 W  -14.5 %  +14 %  predicted  too slow: 14 % > 10 %
*  225 W  -12 %    +3 %   measured   chosen
   300 W  0 %      0 %    measured   14 % more joules

Energy used: 1.5 kWh, of which 1 Wh are charged and not measured; draws 790 W now
Saved: 10 %, against 1.67 kWh at the limits that were found
"""
    )


def test_a_job_whose_gpus_stay_as_they_were_found_says_why() -> None:
    built = running()
    conditions = set_condition(
        built.status.conditions,
        ConditionType.OPERATING_POINT_SET,
        False,
        Reason.POINT_AS_FOUND,
        "as found: GPU-a is shared with other pods",
        generation=1,
        now=at(0),
    )
    assert "\nOperating point: PointAsFound: as found: GPU-a is shared with other pods\n" in explained(
        built.with_status(conditions=conditions)
    )


def test_a_job_that_is_throttled_says_so() -> None:
    built = running()
    conditions = set_condition(
        built.status.conditions,
        ConditionType.THROTTLED,
        True,
        "PowerBudget",
        "40 kW of 40 kW are reserved",
        generation=1,
        now=at(60),
    )
    assert explained(built.with_status(conditions=conditions)).splitlines()[2] == (
        "Throttled since 2027-01-15 08:01:00 UTC (40 min ago): 40 kW of 40 kW are reserved"
    )


def test_a_job_that_is_being_stopped_says_what_for() -> None:
    built = running().stopping(Outcome.SUSPENDED, Reason.SUSPENDED, "spec.suspend is true")
    assert explained(built).splitlines()[:2] == [
        "team/train: Suspending since 2027-01-15 08:00:00 UTC (41 min ago)",
        "Suspended: spec.suspend is true",
    ]


def test_a_job_that_has_ended_tells_what_it_used_and_holds_nothing() -> None:
    text = explained(running().ended(Phase.SUCCEEDED).with_status(energy=EnergyStatus(joules=3.6e6)))
    assert text.splitlines()[0] == "team/train: Succeeded since 2027-01-15 08:00:01 UTC (41 min ago)"
    assert text.splitlines()[-1] == "Energy used: 1 kWh"
    assert "node-a" not in text


def test_a_large_gang_names_some_of_its_nodes() -> None:
    pods = tuple(
        PodPlacement(pod=f"train-1-{index}", node=f"n{index}", gpu_model="H100", gpus=8) for index in range(10)
    )
    assert "n7 (8 H100) and 2 more\n" in explained(running().with_status(placement=pods))


def test_what_pods_said_gives_the_terminal_no_orders() -> None:
    failed = Attempt(
        number=1, started_at=at(-60), outcome=Outcome.FAILED, message="\x1b]0;owned\x07\nteam/train: Running"
    )
    text = explained(queued().with_status(attempts=(failed,)))
    assert "\x1b" not in text
    assert text.count("\n") == 3
