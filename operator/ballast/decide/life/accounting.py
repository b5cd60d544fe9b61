"""The ledger: what each pod used enters the status of its attempt exactly once, and only then may the pod go (G5).

Pure. A pod with an exporter carries a finalizer, so that it stays until its last reading is entered. One write of the
status enters what pods used and puts their UIDs into `status.settling`; after that write the finalizers are taken off;
when none of those pods carries one any more, another write empties `settling`. So a crash at any point repeats
nothing: who is in `settling` is never entered again. What must hold: each pod enters once; no pod is kept for ever:
`policy.lost_reading_seconds` after a silent one went the best that is known is taken, and it is counted that this may
be too little.

Whom to trust: the agent's word is the best, nobody but the node's agent can write it. The exporter's last words stand
where the job's owner can write, too, and so do the series in Prometheus. All are the same growing counter, so the
larger figure counts, unless an estimate would replace a measurement: whoever forges their own pod's words makes their
own bill larger, within what a pod can draw at all (`observe.parsing` drops what is beyond), and never smaller while the
node has an agent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ballast.api.finalreading import DECIMALS, FinalReading, Joules
from ballast.api.jobstatus import MAX_ATTEMPTS, MAX_SETTLING, Attempt, AttemptEnergy, EnergyStatus, TrainingJobStatus
from ballast.api.quantities import ENERGY
from ballast.api.source import Component, Source
from ballast.decide.actions import ReleasePod, Transition, WriteStatus
from ballast.decide.life.trouble import answers, is_gone
from ballast.decide.points.savings import Saving, saving
from ballast.decide.policy import Policy
from ballast.decide.snapshot import Context, Job, Pod
from ballast.decide.telemetry import Telemetry

MAX_AHEAD_SECONDS = 60.0
"""How far a node's clock may be ahead of the operator's: what ended later than that has ended now."""


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is entered for a pod.

    Attributes:
        joules: by component; one of which nothing is known is absent.
        is_last: whether it is the last reading: False if the pod used more than is known.
    """

    joules: Mapping[Component, Joules]
    is_last: bool


def account(job: Job, context: Context, *, writes: bool = True) -> list[WriteStatus | ReleasePod]:
    """Return what the ledger of a job needs next, in any phase and also while the job is being deleted.

    Args:
        job: the job.
        context: what it depends on beside the job.
        writes: whether the job's status may be written in this cycle; there is one write at a time.
    """
    if not is_accounted(job):
        return []
    held = [pod for pod in job.pods if pod.held]
    free = [pod for pod in held if may_go(pod, job, context)]
    actions: list[WriteStatus | ReleasePod] = [
        ReleasePod(job.job, pod.name, pod.uid, pod.finalizer_position) for pod in free if pod.uid not in job.releasing
    ]
    write = _settle(job, held, context) if writes else None
    return actions if write is None else [write, *actions]


def is_accounted(job: Job) -> bool:
    """Return whether the ledger of a job may need something, now or later."""
    return bool(job.job.status.settling) or any(pod.held for pod in job.pods)


def may_go(pod: Pod, job: Job, context: Context) -> bool:
    """Return whether a pod that is held need not be held any longer: it is in the ledger, or has nothing to say."""
    return pod.uid in job.job.status.settling or _never_ran(pod, job, context)


def is_settled(job: Job, context: Context) -> bool:
    """Return whether nothing of the job is still to be entered."""
    return all(may_go(pod, job, context) for pod in job.pods if pod.held)


def unheard(job: Job, now: float, policy: Policy) -> tuple[str, ...]:
    """Return the UIDs of the pods that are over, as it seems, without a last word: Prometheus is asked for them."""
    settled = frozenset(job.job.status.settling)
    return tuple(
        pod.uid
        for pod in job.pods
        if pod.held
        and pod.uid not in settled
        and pod.uid not in job.agents_words
        and pod.node is not None
        and (
            not _has_last_words(pod, policy)
            if pod.has_ended
            else pod.grace_over_at is not None and pod.grace_over_at <= now
        )
    )


def next_due(job: Job, now: float, policy: Policy) -> float | None:
    """Return the next moment after now at which time alone may call for a step; None if it never will."""
    settled = frozenset(job.job.status.settling)
    times: list[float] = []
    for pod in job.pods:
        if not pod.held or pod.uid in settled:
            continue
        over_at = _ended_at(pod) if pod.has_ended else pod.grace_over_at
        if over_at is None:
            continue
        silent_since = job.unheard.get(pod.uid, over_at)
        times += [over_at, over_at + policy.settle_seconds, silent_since + policy.lost_reading_seconds]
        if not pod.has_ended:
            times.append(over_at + policy.lost_pod_seconds)
    return min((time for time in times if time > now), default=None)


def total_joules(job: Job) -> float:
    """Return what the job has used so far, in joules; it never falls below what its status says.

    The ledger is exact to `DECIMALS`; what is written of live figures must be rounded down, or it stays above.
    """
    return _total(job.job.status, job.telemetry)


def with_new_attempt(status: TrainingJobStatus, attempt: Attempt) -> tuple[tuple[Attempt, ...], EnergyStatus]:
    """Return the attempts with a new one, and the energy in which what dropped ones used is kept."""
    attempts = (*status.attempts, attempt)
    dropped, kept = attempts[:-MAX_ATTEMPTS], attempts[-MAX_ATTEMPTS:]
    energy = status.energy or EnergyStatus()
    lost = [each.energy.joules for each in dropped if each.energy is not None]
    if lost:
        energy = energy.model_copy(update={"earlier_joules": _sum((energy.earlier_joules or 0.0, *lost))})
    return kept, energy


# -- what a pod used, and when that is known


def _never_ran(pod: Pod, job: Job, context: Context) -> bool:
    """Return whether a pod that is over has used nothing: it was never bound, or its kubelet never began it."""
    if pod.node is None:
        return pod.has_ended or pod.grace_over_at is not None
    return pod.has_ended and not pod.began and pod.uid not in job.agents_words and answers(pod.node, context)


def _over_at(pod: Pod, context: Context) -> float | None:
    """Return when a pod was over, or None while it may run; one that is lost is over when its grace is."""
    if pod.has_ended:
        return _ended_at(pod)
    return pod.grace_over_at if is_gone(pod, context) else None


def _ended_at(pod: Pod) -> float:
    """Return when a pod ended; long ago if nobody says."""
    return pod.ended_at or pod.grace_over_at or 0.0


def _has_last_words(pod: Pod, policy: Policy) -> bool:
    """Return whether its exporter spoke at the pod's end, and not only early, or before a restart of its own."""
    words, ended_at = pod.last_words, pod.ended_at
    if words is None or ended_at is None:
        return False
    return words.is_last and words.at >= ended_at - policy.stale_seconds


def _entry(pod: Pod, over_at: float, job: Job, context: Context) -> _Entry | None:
    """Return what a pod that is over used, or None while a better word may come."""
    now, policy = context.now, context.policy
    of_agent, of_exporter = job.agents_words.get(pod.uid), pod.last_words
    in_prometheus = job.known_readings.get(pod.uid)
    if of_agent is not None:
        return _Entry(_best(of_agent, of_exporter, in_prometheus), is_last=True)
    has_agent = pod.node in job.metered_nodes
    if _has_last_words(pod, policy):
        waits = has_agent and _is_recent(over_at, context)
        return None if waits else _Entry(_best(of_exporter, in_prometheus), is_last=True)
    # Who has not heard of it for long enough himself can't say that it is silent: the operator was down, perhaps.
    silent_since = job.unheard.get(pod.uid, over_at)
    if now >= silent_since + policy.lost_reading_seconds or not _may_be_heard_of(pod, job, context):
        return _Entry(_best(of_exporter, in_prometheus), is_last=False)
    return None


def _may_be_heard_of(pod: Pod, job: Job, context: Context) -> bool:
    """Return whether a pod that is over without a word may still be spoken of, by whomever."""
    if not pod.has_ended or not answers(pod.node, context) or pod.node in job.metered_nodes:
        return True
    return context.policy.prometheus and job.telemetry is not None and job.telemetry.attempt == pod.attempt


def _is_recent(over_at: float, context: Context) -> bool:
    """Return whether the best word about what was over then may still come; a node's clock may be far ahead."""
    return over_at - MAX_AHEAD_SECONDS <= context.now < over_at + context.policy.settle_seconds


def _best(*words: FinalReading | None) -> dict[Component, Joules]:
    """Return what is known of each component, given the words in the order of trust."""
    best: dict[Component, Joules] = {}
    for each in words:
        for component, joules in (each.joules if each is not None else {}).items():
            known = best.get(component)
            if known is None or (joules.total > known.total and _measured(joules) >= _measured(known)):
                best[component] = joules
    return best


def _measured(joules: Joules) -> bool:
    return joules.source is not Source.ESTIMATED


# -- the write


def _settle(job: Job, held: Iterable[Pod], context: Context) -> WriteStatus | None:
    """Return the write that enters all pods that are ready, or that clears what has been seen to the end."""
    status = job.job.status
    held = tuple(held)
    waiting = [pod for pod in held if not may_go(pod, job, context)]
    over = {pod.uid: over_at for pod in waiting if (over_at := _over_at(pod, context)) is not None}
    kept = tuple(uid for uid in status.settling if any(pod.uid == uid for pod in held))
    ready: list[tuple[Pod, _Entry]] = []
    for pod in waiting:
        entry = _entry(pod, over[pod.uid], job, context) if pod.uid in over else None
        if entry is not None:
            ready.append((pod, entry))
    # The pods of a gang end together: one write for all of them, unless some go on for longer.
    if ready and len(ready) < len(waiting) and _is_recent(min(over[pod.uid] for pod, _ in ready), context):
        ready = []
    ready = ready[: MAX_SETTLING - len(kept)]
    if not ready:
        cleared = status.settling and not kept and not over
        return _write(job, status.model_copy(update={"settling": ()})) if cleared else None
    return _write(job, _with_saving(job, _entered(status, ready, kept, job.telemetry), context.now))


def _with_saving(job: Job, status: TrainingJobStatus, now: float) -> TrainingJobStatus:
    """Return the status with the saving that goes with its joules, if one was told or can be."""
    energy = status.energy
    if energy is None or not energy.joules:
        return status
    steps = status.progress.step if status.progress is not None else None
    found = saving(job, energy.joules, steps, now)
    if found is None and energy.baseline_joules:
        found = Saving(energy.baseline_joules, round(100 * (1 - energy.joules / energy.baseline_joules), 1))
    if found is None:
        return status
    told = {"baseline_joules": found.baseline_joules, "saved_percent": found.percent}
    return status.model_copy(update={"energy": energy.model_copy(update=told)})


def _write(job: Job, status: TrainingJobStatus) -> WriteStatus:
    return WriteStatus(job.job, Transition.SETTLE, status)


def _entered(
    status: TrainingJobStatus, ready: list[tuple[Pod, _Entry]], kept: tuple[str, ...], telemetry: Telemetry | None
) -> TrainingJobStatus:
    entries: dict[int, list[_Entry]] = {}
    for pod, entry in ready:
        entries.setdefault(pod.attempt, []).append(entry)
    attempts = tuple(
        each.model_copy(update={"energy": _added(each.energy, entries.pop(each.number))})
        if each.number in entries
        else each
        for each in status.attempts
    )
    energy = status.energy or EnergyStatus()
    # Of attempts that are not listed any more.
    earlier = [each.total for left in entries.values() for entry in left for each in entry.joules.values()]
    if earlier:
        energy = energy.model_copy(update={"earlier_joules": _sum((energy.earlier_joules or 0.0, *earlier))})
    settling = (*kept, *(pod.uid for pod, _ in ready))
    entered = status.model_copy(update={"attempts": attempts, "energy": energy, "settling": settling})
    total = _total(entered, telemetry)
    # Nothing runs on nothing: 0 is not what was used, but that nobody knows it.
    told = {"joules": total, "used": ENERGY.human(total)} if total else {}
    return entered.model_copy(update={"energy": energy.model_copy(update=told)})


def _added(energy: AttemptEnergy | None, entries: Iterable[_Entry]) -> AttemptEnergy:
    """Return an attempt's ledger with pods added."""
    before = energy or AttemptEnergy(joules=0.0)
    entries = tuple(entries)
    each = [(component, joules) for entry in entries for component, joules in entry.joules.items()]
    return AttemptEnergy(
        joules=_sum((before.joules, *(joules.total for _, joules in each))),
        gpu_joules=_sum((before.gpu_joules, *_of(Component.GPU, each))),
        cpu_joules=_sum((before.cpu_joules, *_of(Component.CPU, each))),
        dram_joules=_sum((before.dram_joules, *_of(Component.DRAM, each))),
        idle_joules=_sum((before.idle_joules, *(joules.idle for _, joules in each))),
        estimated_joules=_sum(
            (before.estimated_joules, *(joules.total for _, joules in each if not _measured(joules)))
        ),
        pods=before.pods + len(entries),
        pods_without_last_reading=before.pods_without_last_reading + sum(not entry.is_last for entry in entries),
    )


def _of(component: Component, each: Iterable[tuple[Component, Joules]]) -> Iterable[float]:
    return (joules.total for name, joules in each if name is component)


def _total(status: TrainingJobStatus, telemetry: Telemetry | None) -> float:
    energy = status.energy or EnergyStatus()
    used = {each.number: each.energy.joules if each.energy is not None else 0.0 for each in status.attempts}
    if telemetry is not None and telemetry.attempt in used:
        used[telemetry.attempt] = max(used[telemetry.attempt], math.fsum(telemetry.joules.values()))
    return max(_sum((energy.earlier_joules or 0.0, *used.values())), energy.joules or 0.0)


def _sum(joules: Iterable[float]) -> float:
    """Return a sum without the dust of binary fractions, so that adding in another order gives the same."""
    return round(math.fsum(joules), DECIMALS)
