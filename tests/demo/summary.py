"""The demo's last page: a row per job, a row per GPU model, what real training came to, and what a power limit did.

Pure: from the outcome to tables. Predicted energy is the operator's predicted power times the seconds that the pods ran
(on simulated nodes: seemed to run); measured is only the accuracy of the jobs that really trained.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.table import Table
from rich.text import Text

from tests.demo.checks import Outcome
from tests.demo.gpu_power import GpuPower, GpuUse
from tests.demo.objects import Asked, Job, Pod, training_result


@dataclass(frozen=True, kw_only=True)
class ModelTotal:
    """What ran on one GPU model.

    Attributes:
        gpu_seconds: GPUs times seconds.
        predicted_joules: As the energy model expects.
        mean_wait_seconds: From the queue to running.
    """

    gpu_model: str
    jobs: int
    gpu_seconds: float
    predicted_joules: float
    mean_wait_seconds: float


def totals(jobs: Iterable[Job]) -> list[ModelTotal]:
    """What ran on each GPU model, and on CPUs; only jobs that ended count."""
    by_model: dict[str, list[Job]] = {}
    for job in jobs:
        if job.ran_seconds is not None and job.places:
            by_model.setdefault(job.gpu_model, []).append(job)
    return [
        ModelTotal(
            gpu_model=model,
            jobs=len(ran),
            gpu_seconds=sum(job.gpus * (job.ran_seconds or 0.0) for job in ran),
            predicted_joules=sum((job.predicted_watts or 0.0) * (job.ran_seconds or 0.0) for job in ran),
            mean_wait_seconds=sum(job.waited_seconds(0.0) or 0.0 for job in ran) / len(ran),
        )
        for model, ran in sorted(by_model.items())
    ]


def result(asked: Asked, job: Job | None, gang: Iterable[Pod]) -> str:
    """How a job ended, in some words."""
    if job is None:
        return "not there"
    if job.phase != "Succeeded":
        return f"{job.phase}: {job.reason}" if job.reason else job.phase
    if asked.simulated:
        return "succeeded (simulated)"
    results = [training_result(pod.last_words) for pod in gang]
    reached = [each for each in results if each is not None]
    if not reached:
        return "succeeded, no accuracy reported"
    lowest = min(reached, key=lambda each: each.accuracy)
    together = f", {lowest.processes} processes together" if lowest.processes > 1 else ""
    return f"accuracy {100 * lowest.accuracy:.1f} % on held-out data{together}"


def job_table(outcome: Outcome, *, wide: bool = True) -> Table:
    """A row per job."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("JOB", "ASKED FOR", "GPU MODEL", "NODES") if wide else ("JOB", "GPU MODEL", "NODES"):
        table.add_column(name, no_wrap=True)
    for name in ("PREDICTED", "WAITED", "RAN") if wide else ("WAITED", "RAN"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("RESULT", overflow="fold")
    for asked in outcome.asked:
        job = outcome.jobs.get(asked.name)
        said = result(asked, job, outcome.gang(asked.name))
        well = job is not None and job.phase == "Succeeded"
        power = watts(job.predicted_watts) if job and job.predicted_watts is not None else ""
        table.add_row(
            asked.name,
            *([asked.size] if wide else []),
            job.gpu_model if job else "",
            job.nodes if job else "",
            *([power] if wide else []),
            seconds(job.waited_seconds(0.0) if job and job.started_at is not None else None),
            seconds(job.ran_seconds if job else None),
            Text(said, style="red" if not well else "" if asked.simulated else "bold green"),
        )
    return table


def totals_table(outcome: Outcome) -> Table:
    """A row per GPU model."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("GPU MODEL", no_wrap=True)
    for name in ("JOBS", "GPU SECONDS", "PREDICTED ENERGY", "MEAN WAIT"):
        table.add_column(name, no_wrap=True, justify="right")
    for total in totals(outcome.jobs.values()):
        table.add_row(
            total.gpu_model,
            str(total.jobs),
            f"{total.gpu_seconds:.0f}" if total.gpu_seconds else "",
            f"{total.predicted_joules / 1000:.0f} kJ" if total.predicted_joules else "",
            seconds(total.mean_wait_seconds),
        )
    return table


def power_table(power: GpuPower) -> Table:
    """A row for each GPU that a training held."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("JOB", "GPU MODEL"):
        table.add_column(name, no_wrap=True)
    for name in ("FOUND", "LIMIT", "MEAN POWER", "ENERGY", "A SAMPLE", "RAN"):
        table.add_column(name, no_wrap=True, justify="right")
    table.add_column("READ BACK", overflow="fold")
    for use in power.uses:
        gpu = use.gpu
        table.add_row(
            use.job,
            gpu.model,
            "unknown" if gpu.found_watts is None else watts(gpu.found_watts),
            "unknown" if gpu.limit_watts is None else watts(gpu.limit_watts),
            "unknown" if use.watts is None else Text(watts(use.watts), style="bold green"),
            "unknown" if use.joules is None else f"{use.joules / 1000:.2f} kJ",
            "unknown" if use.joules_per_sample is None else f"{1000 * use.joules_per_sample:.1f} mJ",
            seconds(use.seconds),
            _read_back(use),
        )
    return table


def _read_back(use: GpuUse) -> str:
    if use.gpu.enforced_watts is None:
        return "left as it was found" if use.asked_watts is None else "never confirmed"
    return f"confirmed {use.gpu.how_soon}".rstrip()


def power_lines(power: GpuPower) -> list[Text]:
    """What the limit did, and whether every GPU has its own again."""
    lines = []
    if power.pair is not None:
        free, limited = power.pair
        each = [
            _changed(limited.watts, free.watts, "power"),
            _changed(limited.joules, free.joules, "energy"),
            _changed(limited.joules_per_sample, free.joules_per_sample, "energy a sample"),
            _changed(limited.seconds, free.seconds, "time"),
        ]
        lines.append(Text(f"{limited.job} against {free.job}: {', '.join(text for text in each if text)}."))
        if not power.limit_binds:
            told = f"{free.job} drew less than the limit of {limited.job}, so that this had little to hold back"
            busy = ": on this busy machine the trainers got too little CPU time." if power.simulated else "."
            lines.append(Text(told + busy, style="yellow"))
    count = len(power.before)
    if power.not_restored or not count:
        told = f"✗ Without their original power limit: {len(power.not_restored)} of {count} GPUs, {power.source}"
        lines.append(Text(told, style="bold red"))
    else:
        limits = ", ".join(watts(each) for each in sorted(set(power.after.values())))
        told = f"✓ All {count} GPUs are back at their original power limit ({limits}), {power.source}"
        lines.append(Text(told, style="bold green"))
    return lines


def _changed(value: float | None, reference: float | None, unit: str) -> str:
    if value is None or not reference:
        return ""
    percent = 100 * (value / reference - 1)
    if abs(percent) < 0.5:
        return f"as much {unit}"
    return f"{abs(percent):.0f} % {'more' if percent > 0 else 'less'} {unit}"


def watts(value: float) -> str:
    """Power for people."""
    return f"{value / 1000:.2f} kW" if value >= 1000 else f"{value:.0f} W"


def seconds(value: float | None) -> str:
    """Whole seconds for people; nothing for none."""
    return "" if value is None else f"{value:.0f} s"
