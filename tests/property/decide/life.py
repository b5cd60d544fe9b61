"""Random jobs anywhere in their life, with the pods and Jobs that they may have there."""

from __future__ import annotations

from hypothesis import strategies as st

from ballast.api.conditions import Reason
from ballast.api.jobstatus import Attempt, Outcome, Phase
from ballast.decide.life.trouble import Trouble
from tests.builders import JobBuilder, NodeBuilder, PodBuilder, at, job, node, pod

SECONDS = st.integers(-900, 0)
NODES = st.sampled_from(
    [
        [node("a").with_gpus("A100", 8), node("b").with_gpus("A100", 8)],
        [node("a").with_gpus("A100", 8).not_ready(), node("b").with_gpus("A100", 8)],
        [node("a").with_gpus("A100", 8).cordoned(), node("b").with_gpus("A100", 8)],
        [node("b").with_gpus("A100", 8)],
    ]
)
STOPS = st.sampled_from(
    [
        Trouble(Outcome.SUSPENDED, Reason.SUSPENDED, "spec.suspend is true"),
        Trouble(Outcome.ROLLED_BACK, Reason.PLACEMENT_TIMEOUT, "late", ("a",)),
        Trouble(Outcome.DISRUPTED, Reason.POD_DISRUPTED, "a pod left", ("b",)),
        Trouble(Outcome.DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED, "ran too long"),
        Trouble(Outcome.FAILED, Reason.POD_CANNOT_START, "no image"),
    ]
)


@st.composite
def pods_of(draw: st.DrawFn, of: JobBuilder, index: int) -> PodBuilder | None:
    built = pod(index, of=of)
    kind = draw(st.sampled_from(["none", "gated", "free", "bound", "running", "running", "stuck", "failed", "done"]))
    where = of.status.placement[index].node
    match kind:
        case "none":
            return None
        case "gated":
            built = built.gated()
        case "bound":
            built = built.on(where)
        case "running":
            built = built.running_on(where)
        case "stuck":
            built = built.on(where).waiting_for(draw(st.sampled_from(["ErrImagePull", "ContainerCreating"])), "no")
        case "failed":
            built = built.on(where).failed(draw(st.sampled_from([None, 1, 137, 143])))
        case "done":
            built = built.on(where).succeeded()
        case _:
            pass
    if draw(st.integers(0, 3)) == 3:
        built = built.being_deleted(draw(st.integers(-300, 120)))
    if draw(st.integers(0, 5)) == 5:
        built = built.disrupted("DeletionByTaintManager")
    return built


@st.composite
def jobs_anywhere(draw: st.DrawFn) -> JobBuilder:
    """Draw a job in any phase; what exists of it may contradict that, as it does between two cycles."""
    spec = {
        "suspend": draw(st.booleans()),
        "retryLimit": draw(st.integers(0, 2)),
        "activeDeadlineSeconds": draw(st.sampled_from([None, 60, 600])),
        "ttlSecondsAfterFinished": draw(st.sampled_from([None, 0, 300])),
    }
    asking = job("gang").replicas(draw(st.integers(1, 2))).with_gpus(1).waiting_since(-1000)
    asking = asking.with_spec(**{name: value for name, value in spec.items() if value is not None})
    nodes = ["a", "b"][: asking.spec["replicas"]]
    phase = draw(st.sampled_from(list(Phase)))
    started = at(draw(SECONDS))
    match phase:
        case Phase.PENDING:
            return asking
        case Phase.QUEUED:
            built = asking.with_status(phase=phase, retry_at=draw(st.sampled_from([None, at(-5), at(40), at(700)])))
        case Phase.SUSPENDED:
            built = asking.with_status(phase=phase)
        case Phase.PLACING:
            built = asking.placed_on(*nodes)
        case Phase.RUNNING | Phase.SUSPENDING:
            built = asking.running_on(*nodes)
        case _:
            return asking.ended(phase).with_status(finished_at=at(draw(SECONDS)))
    if phase.is_waiting or phase is Phase.SUSPENDED:
        return built
    last = built.status.attempts[-1].model_copy(
        update={"started_at": started, "running_at": started if phase is not Phase.PLACING else None}
    )
    before = Attempt(number=1, started_at=at(-1000), running_at=at(-990), outcome=Outcome.DISRUPTED)
    attempts = (before, last.model_copy(update={"number": 2})) if draw(st.booleans()) else (last,)
    built = built.with_status(attempts=attempts, active_seconds=draw(st.integers(0, 50)))
    if phase is Phase.SUSPENDING:
        why = draw(STOPS)
        built = built.stopping(why.outcome, why.reason, why.message)
    state = draw(st.sampled_from([None, "goes on", "goes on", "failing", "failed", "complete"]))
    if state is not None:
        built = built.with_job(
            failing=state == "failing",
            failed=state == "failed",
            complete=state == "complete",
            deleting=draw(st.integers(0, 3)) == 3,
        )
    found = [draw(pods_of(built, index)) for index in range(built.spec["replicas"])]
    number = built.status.attempts[-1].number
    built = built.with_pods(*[each.of_attempt(number) for each in found if each is not None])
    return built.with_refused_pods(draw(st.sampled_from(["", "exceeded quota"]))) if draw(st.booleans()) else built


def cluster() -> st.SearchStrategy[list[NodeBuilder]]:
    """Draw nodes a and b, of which a may be lost, cordoned or gone."""
    return NODES
