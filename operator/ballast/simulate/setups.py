"""What the command line names, read and checked before anything is simulated: jobs, cluster, curves and series.

What must hold: what a user can mend is told before the first arm begins, and what was read is told in the report, so
that a reader knows what the figures are of.
"""

from __future__ import annotations

import io
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from ballast import __version__
from ballast.errors import UserError
from ballast.simulate.comparison.arms import Setup
from ballast.simulate.curves import Curves, fitted_curves, read_curves, zeus_curves
from ballast.simulate.engine.options import Options
from ballast.simulate.engine.rules import check_inputs
from ballast.simulate.fitting.leave_out import priors_without
from ballast.simulate.inputs.cluster import read_cluster
from ballast.simulate.inputs.load import offered_load, scaled_to_load
from ballast.simulate.inputs.trace import read_trace, write_trace
from ballast.simulate.inputs.trace_formats import GAVEL_KINDS, RawJob, Rules, jobs_from, read_gavel, read_philly
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SimNode
from ballast.simulate.report.units import duration_text
from ballast.simulate.series import read_series

FORMATS = ("own", "philly", "gavel")

Facts = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """What is to be simulated, as the command line names it.

    Attributes:
        trace: File of the jobs.
        format: One of `FORMATS`.
        cluster: Cluster file.
        seeds: How many, from 0 on.
        curves: File of the user's own curves.
        zeus: Folder of Zeus's tables; with neither, our own fit is used.
        every: Take every so manieth job, beginning with the one that the seed names.
        load: Move submissions until the jobs offer this load; None: as they are.
        began: When the trace began, for series with dates.
    """

    trace: Path
    cluster: Path
    format: str = "own"
    seeds: int = 3
    curves: Path | None = None
    zeus: Path | None = None
    every: int = 1
    load: float | None = None
    switch_off_after_seconds: float | None = None
    carbon: Path | None = None
    price: Path | None = None
    began: datetime | None = None


def read_setups(inputs: Inputs) -> tuple[tuple[Setup, ...], Facts]:
    """Read everything; returns a setup for each seed, and what is to be told of them.

    Raises:
        UserError: A file cannot be read or used, or they do not fit together.
    """
    nodes = read_cluster(inputs.cluster)
    curves = _curves(inputs)
    jobs_for = _jobs(inputs, nodes, curves)
    carbon = None if inputs.carbon is None else read_series(inputs.carbon, inputs.began)
    price = None if inputs.price is None else read_series(inputs.price, inputs.began)
    options = Options(switch_off_after_seconds=inputs.switch_off_after_seconds)
    # Zeus's kinds draw what the shipped prior was fitted to: nobody may know them before they run.
    priors = None if inputs.zeus is None else priors_without(inputs.zeus)
    setups = tuple(
        Setup(seed, tuple(jobs_for(seed)), nodes, curves, options, carbon, price, priors)
        for seed in range(inputs.seeds)
    )
    return setups, _facts(inputs, setups)


def example_trace() -> str:
    """A trace in our own format that keeps the example cluster so busy that no two policies do the same."""
    kinds = ("resnet50-256", "bert-squad-32", "deepspeech2-192", "shufflenet-1024", "bert-sentiment-128", "ncf-1024")
    gpus = (1, 8, 2, 16, 4, 1, 1, 24, 1, 2)
    hours = (2.0, 5.0, 3.0, 1.0, 4.0, 0.5, 6.0)
    jobs = []
    for n in range(48):
        wave, place = divmod(n, 12)  # every four hours an hour of submissions
        submitted, seconds = 14_400.0 * wave + 300.0 * place, 3600 * hours[n % len(hours)]
        deadline = submitted + 3 * seconds if n % 4 == 3 else None
        kind, group = kinds[n % len(kinds)], ("research", "product")[n % 2]
        jobs.append(TraceJob(f"job-{n + 1:02}", kind, submitted, gpus[n % len(gpus)], seconds, 10.0, deadline, group))
    out = io.StringIO()
    write_trace(jobs, out)
    return out.getvalue()


def _curves(inputs: Inputs) -> Curves:
    if inputs.curves is not None:
        return read_curves(inputs.curves)
    return fitted_curves() if inputs.zeus is None else zeus_curves(inputs.zeus)


def _jobs(inputs: Inputs, nodes: Sequence[SimNode], curves: Curves) -> Callable[[int], list[TraceJob]]:
    """A function from a seed to its jobs; the file is read once."""
    if inputs.format == "own":
        own = read_trace(inputs.trace)

        def picked(seed: int) -> list[TraceJob]:
            return own[seed % inputs.every :: inputs.every]
    else:
        raw = sorted((read_philly if inputs.format == "philly" else read_gavel)(inputs.trace), key=_by_submission)
        if not raw:
            raise UserError(f"{inputs.trace}: holds no job: name another file")
        rules = _rules(nodes)
        mapped = inputs.format == "gavel" and set(GAVEL_KINDS.values()) <= set(curves.kinds)

        def picked(seed: int) -> list[TraceJob]:
            some = raw[seed % inputs.every :: inputs.every]
            return jobs_from(some, GAVEL_KINDS if mapped else curves.kinds, seed, rules) if some else []

    def jobs(seed: int) -> list[TraceJob]:
        found = picked(seed)
        if not found:
            raise UserError(
                f"--every {inputs.every}: leaves seed {seed} no job of {inputs.trace}: take a smaller number"
            )
        try:
            check_inputs(found, nodes, curves)
            return found if inputs.load is None else scaled_to_load(found, inputs.load, nodes, curves)
        except UserError as mistake:
            raise UserError(f"{inputs.trace} on {inputs.cluster}: {mistake}") from mistake

    return jobs


def _by_submission(job: RawJob) -> tuple[float, float, int]:
    return job.submitted_at, job.seconds, job.gpus


def _rules(nodes: Sequence[SimNode]) -> Rules:
    """What published traces leave open: jobs larger than the cluster get as much of it as one GPU model has."""
    gpus: Counter[str] = Counter()
    for node in nodes:
        gpus[node.gpu_model] += node.gpus
    sizes = {node.gpus for node in nodes}
    return Rules(max_gpus=max(gpus.values()), node_gpus=sizes.pop() if len(sizes) == 1 else None)


def _facts(inputs: Inputs, setups: Sequence[Setup]) -> Facts:
    first = setups[0]
    series = [
        (name, f"{path}, {len(found.values):,} values from {min(found.values):g} to {max(found.values):g}")
        for name, path, found in (
            ("carbon, g/kWh", inputs.carbon, first.carbon),
            ("price per kWh", inputs.price, first.price),
        )
        if found is not None
    ]
    return (
        ("trace", f"{inputs.trace} ({inputs.format} format{_changed(inputs)}): {_described_jobs(setups)}"),
        ("cluster", f"{inputs.cluster}: {described_nodes(first.nodes)}"),
        ("curves", first.curves.source if inputs.curves is None else f"{inputs.curves}, measurements of yours"),
        *_beyond_curves(first),
        ("seeds", f"{len(setups)}: {', '.join(str(setup.seed) for setup in setups)}"),
        ("rules", described_rules(first.options)),
        *series,
        ("version", described_version()),
    )


def _changed(inputs: Inputs) -> str:
    text = "" if inputs.every == 1 else f", one job of {inputs.every}, the first by seed"
    return text + ("" if inputs.load is None else f", submissions scaled to {100 * inputs.load:g} % load")


def _described_jobs(setups: Sequence[Setup]) -> str:
    counts = sorted({len(setup.jobs) for setup in setups})
    first = setups[0]
    jobs = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    window = first.jobs[-1].submitted_at - first.jobs[0].submitted_at
    load = f", {100 * offered_load(first.jobs, first.nodes, first.curves):.0f} % load" if window > 0 else ""
    kinds = ", ".join(sorted({job.kind for setup in setups for job in setup.jobs}))
    hours = sum(job.gpus * job.reference_seconds for job in first.jobs) / 3600
    return (
        f"{jobs} jobs submitted over {duration_text(window)}{load}; {hours:,.0f} GPU-hours on"
        f" {first.curves.reference_model} (seed {first.seed}); kinds {kinds}"
    )


def described_nodes(nodes: Sequence[SimNode]) -> str:
    """How many nodes of each sort there are, in words."""
    alike = Counter(
        f"{node.gpus} {node.gpu_model} of {node.min_limit_watts:g} to {node.max_limit_watts:g} W"
        f" (idle {node.idle_watts:g} W each), base {node.base_watts:g} W"
        for node in nodes
    )
    return "; ".join(f"{count} node{'' if count == 1 else 's'} with {text}" for text, count in alike.items())


def _beyond_curves(setup: Setup) -> list[tuple[str, str]]:
    """Power limits that nodes take and no curve knows: a reader should not take what happens there for a finding."""
    found = []
    for model in sorted({node.gpu_model for node in setup.nodes}):
        curves = [setup.curves.of(kind, model) for kind in sorted({job.kind for job in setup.jobs})]
        known = max(curve.min_limit_watts for curve in curves), min(curve.max_limit_watts for curve in curves)
        nodes = [node for node in setup.nodes if node.gpu_model == model]
        taken = min(node.min_limit_watts for node in nodes), max(node.max_limit_watts for node in nodes)
        if taken[0] < known[0] or taken[1] > known[1]:
            found.append(f"{model} takes {taken[0]:g} to {taken[1]:g} W, curves know {known[0]:g} to {known[1]:g} W")
    told = f"{'; '.join(found)}: beyond, speed and power are taken to stay as they are at the curve's end"
    return [("beyond curves", told)] if found else []


def described_rules(options: Options) -> str:
    """What nodes and meters do, in words."""
    after = options.switch_off_after_seconds
    nodes = (
        "nodes stay on"
        if after is None
        else f"nodes that are empty for {after:g} s are switched off; a boot takes {options.boot_seconds:g} s and"
        f" {options.boot_joules:g} J"
    )
    return (
        f"{nodes}; a restart takes {options.restart_seconds:g} s; a reading is there after"
        f" {options.reading_seconds:g} s, with {100 * options.readings_noise:g} % noise"
    )


def described_version() -> str:
    """Ballast's version, with the commit where it runs from a checkout."""
    folder = Path(__file__).parent
    commit = _git(folder, "rev-parse", "--short=12", "HEAD")
    if not commit or not _git(folder, "ls-files", "."):  # installed below somebody else's checkout
        return f"Ballast {__version__}"
    changed = " with local changes" if _git(folder, "status", "--porcelain", "--", "..") else ""
    return f"Ballast {__version__}, commit {commit}{changed}"


def _git(folder: Path, *arguments: str) -> str:
    command = ["git", "-C", str(folder), "--no-optional-locks", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
