"""What must hold of the GPUs of real nodes when the demo is over: limited as asked, measured, and put back.

Pure. Invariant: as in `checks`, what is missing counts against it.
"""

from __future__ import annotations

from collections.abc import Iterable

from tests.demo.checks import Outcome, Problem
from tests.demo.gpu_power import GpuPower, GpuUse

#: Boards keep whole milliwatts.
SAME_WATTS = 0.5
#: A board exceeds its limit for moments; on average over a training it hardly does.
OVERSHOOT = 1.05


def gpu_problems(power: GpuPower, outcome: Outcome) -> list[Problem]:
    """Everything that is wrong; a job that has not succeeded is not judged, but its GPUs must be as they were."""
    found: list[Problem] = []
    for asked in outcome.asked:
        job = outcome.jobs.get(asked.name)
        if not asked.on_real_gpus or job is None or job.phase != "Succeeded":
            continue
        uses = [use for use in power.uses if use.job == asked.name]
        wanted = asked.replicas * asked.gpus_per_pod
        if len(uses) != wanted:
            found.append(Problem(asked.name, f"held {wanted} GPUs, and agents told of {len(uses)}"))
        found += [Problem(asked.name, text) for use in uses for text in _wrong_with(use)]
    found += [Problem("", text) for text in (*_not_less(power), *_not_restored(power))]
    return found


def _wrong_with(use: GpuUse) -> Iterable[str]:
    gpu, asked = use.gpu, use.asked_watts
    has = gpu.enforced_watts
    if asked is not None and (has is None or abs(has - asked) > SAME_WATTS):
        confirmed = "none was confirmed" if has is None else f"{has:.0f} W were confirmed"
        yield f"asked for {asked:.0f} W, and {confirmed} on {gpu.uuid}" + (f": {gpu.problem}" if gpu.problem else "")
    if asked is None and has is not None:
        yield f"asked for no power limit, and {gpu.uuid} had {has:.0f} W"
    if use.joules is None:
        yield f"the energy of {gpu.uuid} is not in the job's ledger"
    elif use.joules_per_sample is None:
        yield f"nobody knows on how many samples it trained with {gpu.uuid}"
    if asked is not None and use.watts is not None and use.watts > asked * OVERSHOOT:
        yield f"{gpu.uuid} drew {use.watts:.0f} W on average under a limit of {asked:.0f} W"


def _not_less(power: GpuPower) -> Iterable[str]:
    """Whether the limit was felt, where there was something to hold back.

    A training may draw less than the limit anyway; on simulated boards also because a busy machine gives its trainer
    too little CPU time, and the other one more.
    """
    if power.pair is None or not power.limit_binds:
        return
    free, limited = power.pair
    if free.watts is not None and limited.watts is not None and limited.watts >= free.watts:
        yield (
            f"{limited.job} drew {limited.watts:.0f} W under its limit, not less than the {free.watts:.0f} W of"
            f" {free.job} without one"
        )


def _not_restored(power: GpuPower) -> Iterable[str]:
    if not power.before:
        yield "no power limits of GPUs are known"
    for uuid in power.not_restored:
        after = power.after.get(uuid)
        now = "tells no power limit" if after is None else f"has a power limit of {after:.0f} W"
        yield f"{uuid} {now}, before it was {power.before[uuid]:.0f} W"
