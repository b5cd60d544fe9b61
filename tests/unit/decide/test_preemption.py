"""A job that finds no room claims that of others, has them stopped once that is written, and gets the room."""

from __future__ import annotations

from dataclasses import replace

from ballast.api.conditions import ConditionType, Reason, find_condition
from ballast.api.jobstatus import Attempt, Outcome, Phase, PreemptionStatus, Victim
from ballast.decide.actions import Transition, WriteStatus
from ballast.decide.cycle import Decision, decide
from ballast.decide.policy import Policy
from ballast.decide.snapshot import Claim, Snapshot
from tests.builders import NOW, JobBuilder, NodeBuilder, at, job, snapshot
from tests.unit.decide.preempting import URGENT, A, B, running

FULL_A = A.using(gpus=4)
VICTIM = running("victim", "a", gpus=4, joules=3.6e6)
CLAIMANT = URGENT.told(Reason.PREEMPTING).with_status(
    preemption=PreemptionStatus(until=at(600), nodes=("a",), victims=(Victim(uid="uid-of-victim", attempt=1),))
)


def writes(decision: Decision) -> dict[str, WriteStatus]:
    found = [action for action in decision.actions if isinstance(action, WriteStatus)]
    assert len({write.job.metadata.name for write in found}) == len(found)
    return {write.job.metadata.name: write for write in found}


def claimed(
    *waiting: JobBuilder,
    nodes: tuple[NodeBuilder, ...] = (FULL_A,),
    victims: tuple[JobBuilder, ...] = (VICTIM,),
    settled: bool = True,
    now: float = NOW,
) -> Snapshot:
    """Return a snapshot in which `CLAIMANT` waits for its victims."""
    queue = (CLAIMANT, *waiting) if settled else waiting
    seen = snapshot(nodes, queue, running=[each for each in victims if each.status.phase is Phase.RUNNING], now=now)
    return replace(seen, claims=(Claim(CLAIMANT.build(), settled, tuple(each.build() for each in victims)),))


def test_first_the_room_is_claimed_and_nobody_is_stopped() -> None:
    [(name, write)] = writes(decide(snapshot([FULL_A], [URGENT], running=[VICTIM]))).items()
    assert (name, write.transition) == ("urgent", Transition.PREEMPT)
    assert write.status.preemption is not None
    assert write.status.preemption.nodes == ("a",)
    assert write.status.preemption.victims == (Victim(uid="uid-of-victim", attempt=1),)
    admitted = find_condition(write.status.conditions, ConditionType.ADMITTED)
    assert admitted is not None
    assert admitted.reason == Reason.PREEMPTING
    assert "waits for 1 job of lower priority on a to save and end within 120 s" in admitted.message
    assert "at most 1 kWh of work since the last checkpoint is lost" in admitted.message
    assert "victim" not in admitted.message, "it may be of another namespace"
    assert write.status.queued_at == at(0)


def test_then_they_are_stopped() -> None:
    write = writes(decide(claimed()))["victim"]
    assert write.status.phase is Phase.SUSPENDING
    attempt = write.status.attempts[-1]
    assert (attempt.outcome, attempt.reason) == (Outcome.PREEMPTED, "Preempted")
    assert write.note is not None
    assert write.note.reason == "Preempted"
    assert "a job of priority 1000 needs the room, its own priority is 0; at most 1 kWh" in write.note.message
    assert "urgent" not in write.note.message, "it may be of another namespace"


def test_not_while_the_claim_is_being_written() -> None:
    assert writes(decide(claimed(settled=False))) == {}


def test_while_they_end_nobody_else_gets_the_room() -> None:
    small = job("small").with_gpus(1).waiting_since(-1e5)
    stopping = VICTIM.stopping(Outcome.PREEMPTED, Reason.PREEMPTED)
    for settled in (True, False):
        seen = claimed(small, nodes=(A.using(gpus=2),), victims=(stopping,), settled=settled)
        [(name, write)] = writes(decide(seen)).items()
        assert (name, write.transition) == ("small", Transition.QUEUE)
        assert write.note is not None
        assert "1 node held for a job of higher priority" in write.note.message


def test_others_go_on_elsewhere() -> None:
    small = job("small").with_gpus(1).waiting_since(-1e5)
    written = writes(decide(claimed(small, nodes=(FULL_A, B.using(gpus=3)))))
    assert [place.node for place in written["small"].status.placement] == ["b"]


def test_when_they_are_gone_it_is_placed_before_older_ones() -> None:
    old = job("old").with_gpus(4).waiting_since(-1e6)
    written = writes(decide(claimed(old, nodes=(A,), victims=())))
    assert written["urgent"].status.phase is Phase.PLACING
    assert written["urgent"].status.preemption is None
    assert written["old"].status.phase is Phase.QUEUED


def test_room_that_came_free_by_itself_spares_everybody() -> None:
    written = writes(decide(claimed(nodes=(FULL_A, B))))
    assert [place.node for place in written["urgent"].status.placement] == ["b"]
    assert "victim" not in written


def test_nobody_is_stopped_in_vain_where_the_node_is_lost_meanwhile() -> None:
    [(name, write)] = writes(decide(claimed(nodes=(FULL_A.cordoned(), B.using(gpus=1))))).items()
    assert (name, write.status.preemption) == ("urgent", None)


def test_after_so_long_it_is_given_up() -> None:
    stopping = VICTIM.stopping(Outcome.PREEMPTED, Reason.PREEMPTED)
    [(name, write)] = writes(decide(claimed(victims=(stopping,), now=NOW + 600))).items()
    assert (name, write.status.preemption, write.status.reason) == ("urgent", None, "WaitingForCapacity")


def test_there_is_one_claim_at_a_time() -> None:
    other = job("other").with_gpus(4).valued(2000)
    seen = claimed(other, nodes=(FULL_A, B.using(gpus=4)), victims=(VICTIM,))
    seen = replace(seen, running=(*seen.running, running("more", "b", gpus=4).build()))
    written = writes(decide(seen))
    assert written["other"].status.preemption is None


def test_one_whose_last_attempt_did_not_start_stops_nobody() -> None:
    tried = Attempt(number=1, started_at=at(-100), finished_at=at(-50), outcome=Outcome.ROLLED_BACK)
    for attempt, phase in ((tried, Phase.QUEUED), (tried.model_copy(update={"running_at": at(-90)}), Phase.QUEUED)):
        written = writes(decide(snapshot([FULL_A], [URGENT.after(attempt)], running=[VICTIM])))
        claims = written["urgent"].status.preemption is not None
        assert (written["urgent"].status.phase, claims) == (phase, attempt.running_at is not None)


def test_what_is_held_for_one_that_waits_too_long_is_not_claimed_but_by_itself() -> None:
    patience = Policy().patience_seconds
    old = job("old").with_gpus(3).waiting_since(-patience)
    full, others = A.using(gpus=4), [running("x", "a", gpus=2), running("y", "a", gpus=2)]
    held = writes(decide(snapshot([full], [old, URGENT], running=others)))
    assert held["urgent"].status.preemption is None
    own = writes(decide(snapshot([full], [URGENT.waiting_since(-patience)], running=others)))
    assert own["urgent"].status.preemption is not None


def test_why_nobody_is_stopped_is_told() -> None:
    careless = running("careless", "a", gpus=4, saves=False)
    write = writes(decide(snapshot([FULL_A], [URGENT], running=[careless])))["urgent"]
    assert write.note is not None
    assert "A100 0 of 4 free" in write.note.message
    assert "would not make it fit: 1 run (1 keep no checkpoint)" in write.note.message
