"""Published traces as jobs of an experiment: Philly's CSV and Gavel's traces, and the rules that turn them into ours.

A published trace says when jobs came, how many GPUs they held and for how long; what they computed it says seldom, and
what they drew never. So a reader gives neutral `RawJob`s, and `jobs_from` makes `TraceJob`s of them by stated rules.
What must hold: the same seed gives the same jobs on every machine, and no line is dropped in silence.

Gavel's layout (OSDI 2020), tabs between the columns, no header: job type with its batch size in brackets; command,
with ``%s`` for the folder; the option that takes the number of steps; 1 if the command needs a data folder, else 0;
steps; arrival in seconds; GPUs ("scale factor"). There is no duration. The traces that Gavel made of Philly's were
written as Philly's duration times a rate of the job type, whatever the GPUs: `GAVEL_RATES` takes them back to it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ballast.errors import UserError
from ballast.simulate.curves import Curves
from ballast.simulate.inputs.load import scaled_to_load
from ballast.simulate.inputs.trace import InvalidTrace, Refused, csv_rows, number, open_text, read_lines, whole_number
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SimNode

EXPERIMENT_KINDS: Final = (
    "deepspeech2-192",
    "bert-squad-32",
    "bert-sentiment-128",
    "resnet50-256",
    "shufflenet-1024",
    "ncf-1024",
)
"""The job types of the committed experiment, in the order in which a draw counts them."""

GAVEL_KINDS: Final[Mapping[str, str]] = {
    "ResNet-50": "resnet50-256",  # the same network
    "ResNet-18": "shufflenet-1024",  # small networks on small images
    "Transformer": "bert-squad-32",  # attention over long sequences
    "LM": "bert-sentiment-128",  # short texts
    "Recommendation": "ncf-1024",  # the same data set, MovieLens
    "CycleGAN": "resnet50-256",  # deep convolutions
    "A3C": "ncf-1024",  # a small network that waits for its environment: it hardly loads a GPU
}
"""Measured kinds that are nearest to Gavel's job types: an assumption, with its reasons."""

GAVEL_RATES: Final[Mapping[str, float]] = {
    "A3C": 8.233033,
    "CycleGAN": 4.918495,
    "LM (batch size 5)": 167.122858,
    "LM (batch size 10)": 143.360513,
    "LM (batch size 20)": 107.950872,
    "LM (batch size 40)": 71.723037,
    "LM (batch size 80)": 43.903611,
    "Recommendation (batch size 512)": 0.331482,
    "Recommendation (batch size 1024)": 0.47997985,
    "Recommendation (batch size 2048)": 0.5675317,
    "Recommendation (batch size 4096)": 0.6244085,
    "Recommendation (batch size 8192)": 0.6023548,
    "ResNet-18 (batch size 16)": 77.317373,
    "ResNet-18 (batch size 32)": 65.805407,
    "ResNet-18 (batch size 64)": 48.884181,
    "ResNet-18 (batch size 128)": 30.287505,
    "ResNet-18 (batch size 256)": 16.987371,
    "ResNet-50 (batch size 16)": 17.37439,
    "ResNet-50 (batch size 32)": 9.9205833,
    "ResNet-50 (batch size 64)": 5.4576,
    "ResNet-50 (batch size 128)": 2.8459813,
    "Transformer (batch size 16)": 12.8456525,
    "Transformer (batch size 32)": 12.475278,
    "Transformer (batch size 64)": 9.5680238,
    "Transformer (batch size 128)": 5.771211,
    "Transformer (batch size 256)": 1.7070301,
}
"""Steps per second that Gavel's traces were written with. We found them again by setting 1,545 of their jobs beside
Philly's own (same virtual cluster, arrival and GPUs): one rate for each type gives the steps of all but ten to the last
one. Those ten ran for another time than Philly's job of that second, and were left out. Gavel's table of measured
throughputs is another: its Recommendation is 5 to 70 times as fast."""

_GAVEL_FIELDS = ("job_type", "command", "steps_option", "needs_data", "steps", "arrival_seconds", "gpus")

_EPOCH = re.compile(r"-?\d+(\.\d*)?", re.ASCII)
_NOVEMBER = datetime(2017, 11, 1, tzinfo=UTC).timestamp(), datetime(2017, 12, 1, tzinfo=UTC).timestamp()
_SHARE = 10  # the experiment takes every tenth job
_MAX_GPUS = 32
_NODE_GPUS = 8


@dataclass(frozen=True, slots=True)
class RawJob:
    """A job as a published trace has it.

    Attributes:
        submitted_at: Seconds on the trace's own clock, which begins anywhere.
        seconds: How long it ran; on which GPU model is the trace's matter.
        gpus: That it held.
        group: Virtual cluster or user, as the trace calls it.
        kind: Its job type in the trace's words; None if the trace tells none.
    """

    submitted_at: float
    seconds: float
    gpus: int
    group: str = ""
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """What a published trace does not say, and an experiment states.

    Attributes:
        max_gpus: Jobs that held more get this many; None for no cap. A multiple of ``node_gpus``.
        node_gpus: A job that needs more than one node takes whole ones of so many GPUs; None to leave counts alone.
        max_slowdown_percent: Of every job.
        deadline_every: Every so manieth job has a deadline, by submission; 0 for none.
        deadline_durations: The deadline is the submission plus so many times the job's duration on the reference.
        prefix: Names are it and a number, by submission.
    """

    max_gpus: int | None = None
    node_gpus: int | None = None
    max_slowdown_percent: float = 10.0
    deadline_every: int = 0
    deadline_durations: float = 3.0
    prefix: str = "job"

    def __post_init__(self) -> None:
        if self.max_gpus is not None and self.gpus(self.max_gpus) != self.max_gpus:
            raise UserError(
                f"max_gpus: must be a multiple of node_gpus, which is {self.node_gpus}, as larger jobs take whole nodes"
                f" (is {self.max_gpus})"
            )

    def gpus(self, held: int) -> int:
        """How many GPUs a job gets that held so many."""
        capped = held if self.max_gpus is None else min(held, self.max_gpus)
        if self.node_gpus is None or capped <= self.node_gpus:
            return capped
        return -(-capped // self.node_gpus) * self.node_gpus


def read_philly(path: Path) -> list[RawJob]:
    """Read Microsoft's Philly trace, in the CSV that schedulers' simulators pass on.

    Args:
        path: ``philly.csv``, also compressed, or the folder that it lies in. Columns ``timestamp`` (ISO, taken as UTC
            unless it says otherwise, or seconds since 1970), ``duration`` (s), ``num_gpus`` and ``cluster``; others
            are not looked at.

    Returns:
        All jobs in the file's order, which is none. Rows that are equal are different jobs: nothing tells them apart
        from two that were submitted at once and stopped at once.

    Raises:
        InvalidTrace: Names line, field, value and remedy of each line that is wrong.
    """
    path = _file_in(path, ("philly.csv.gz", "philly.csv"))

    def job(_line: int, cells: Mapping[str, str]) -> RawJob:
        return RawJob(
            submitted_at=_moment(cells, "timestamp"),
            seconds=number(cells, "duration", above=0),
            gpus=whole_number(cells, "num_gpus", least=1),
            group=cells["cluster"],
        )

    with open_text(path) as file:
        rows = csv_rows(file, str(path), ("timestamp", "duration", "num_gpus", "cluster"))
        return read_lines(rows, str(path), job)


def read_gavel(path: Path) -> list[RawJob]:
    """Read a trace that Gavel made of Philly's.

    Args:
        path: The trace, also compressed; this module's opening states the layout.

    Returns:
        The jobs, in the file's order, with Philly's durations.

    Raises:
        InvalidTrace: Names line, field, value and remedy of each line that is wrong.
    """

    def job(_line: int, cells: Mapping[str, str]) -> RawJob:
        rate = GAVEL_RATES.get(cells["job_type"])
        if rate is None:
            remedy = "must be one of Gavel's job types, as 'LM (batch size 80)': no other's steps per second are known"
            raise Refused("job_type", cells["job_type"], remedy)
        return RawJob(
            submitted_at=number(cells, "arrival_seconds", least=0),
            seconds=number(cells, "steps", above=0) / rate,
            gpus=whole_number(cells, "gpus", least=1),
            kind=cells["job_type"],
        )

    lines: list[tuple[int, Mapping[str, str]]] = []
    with open_text(path) as file:
        for line, text in enumerate(file, 1):
            cells = text.rstrip("\r\n").split("\t")
            if len(cells) != len(_GAVEL_FIELDS):
                raise InvalidTrace(
                    str(path),
                    (),
                    f"line {line} has {len(cells)} columns, and Gavel's layout {len(_GAVEL_FIELDS)}"
                    f" ({', '.join(_GAVEL_FIELDS)}, with tabs): bring it into that order",
                )
            lines.append((line, dict(zip(_GAVEL_FIELDS, cells, strict=True))))
    return read_lines(lines, str(path), job)


def jobs_from(
    raw: Sequence[RawJob], kinds: Sequence[str] | Mapping[str, str], seed: int, rules: Rules | None = None
) -> list[TraceJob]:
    """Make jobs of an experiment from a published trace's.

    Args:
        raw: In any order.
        kinds: Several: each job draws one of them, all alike, by ``seed``. A mapping: from the trace's job types,
            whole or up to `` (``, to kinds.
        seed: Of the draw.
        rules: What the trace does not say; by default nothing is capped and nothing has a deadline.

    Returns:
        The jobs by submission, then duration, then GPUs; the first is submitted at 0. The trace's duration is theirs
        on the reference GPU model.

    Raises:
        UserError: There is no job or no kind, or job types are not in the mapping: names them.
    """
    rules = rules or Rules()
    if not raw:
        raise UserError("trace: holds no job: take another part of it")
    ordered = sorted(raw, key=_by_submission)
    drawn = _mapped(ordered, kinds) if isinstance(kinds, Mapping) else _drawn(ordered, kinds, seed)
    first = ordered[0].submitted_at
    digits = len(str(len(ordered)))
    jobs: list[TraceJob] = []
    for index, (job, kind) in enumerate(zip(ordered, drawn, strict=True), 1):
        submitted = job.submitted_at - first
        has_deadline = rules.deadline_every > 0 and index % rules.deadline_every == 0
        jobs.append(
            TraceJob(
                name=f"{rules.prefix}-{index:0{digits}d}",
                kind=kind,
                submitted_at=submitted,
                gpus=rules.gpus(job.gpus),
                reference_seconds=job.seconds,
                max_slowdown_percent=rules.max_slowdown_percent,
                deadline=submitted + rules.deadline_durations * job.seconds if has_deadline else None,
                group=job.group,
            )
        )
    return jobs


EXPERIMENT_RULES: Final = Rules(
    max_gpus=_MAX_GPUS, node_gpus=_NODE_GPUS, max_slowdown_percent=10.0, deadline_every=4, deadline_durations=3.0
)
"""Of the committed experiment: at most 32 GPUs, and above 8 whole nodes; every job may be 10 % slower; every fourth
must be done by its submission and three times its duration."""


def read_november(path: Path) -> list[RawJob]:
    """Read Philly's November 2017, by (time, duration, GPUs).

    Args:
        path: Philly's CSV or its folder; see `read_philly`.

    Raises:
        UserError: The file can't be read, or has no November 2017.
    """
    begin, end = _NOVEMBER
    november = sorted((job for job in read_philly(path) if begin <= job.submitted_at < end), key=_by_submission)
    if len(november) < _SHARE:
        raise UserError(f"{path}: has {len(november)} jobs of November 2017: give Philly's whole trace")
    return november


def november_jobs(
    november: Sequence[RawJob],
    seed: int,
    load: float,
    nodes: Sequence[SimNode],
    curves: Curves,
    kinds: Sequence[str] = EXPERIMENT_KINDS,
    rules: Rules = EXPERIMENT_RULES,
) -> list[TraceJob]:
    """The jobs of the committed experiment: job ``seed`` mod 10 of a month, and every tenth after it.

    Args:
        november: See `read_november`.
        seed: Of the sample and of the kinds.
        load: What the jobs are to offer the cluster; see `ballast.simulate.inputs.load`.
        nodes: Of 8 GPUs, at least four of one GPU model, so that the largest jobs fit.
        curves: Of the kinds on the nodes' GPU models.
        kinds: Each job draws one of them.
        rules: What the trace does not say.

    Raises:
        UserError: The cluster is too small, or a kind has no curve.
    """
    _check_experiment(nodes)
    return scaled_to_load(jobs_from(november[seed % _SHARE :: _SHARE], kinds, seed, rules), load, nodes, curves)


def philly_november(path: Path, seed: int, load: float, nodes: Sequence[SimNode], curves: Curves) -> list[TraceJob]:
    """Read the jobs of the committed experiment; see `read_november` and `november_jobs`."""
    return november_jobs(read_november(path), seed, load, nodes, curves)


def _by_submission(job: RawJob) -> tuple[float, float, int]:
    return job.submitted_at, job.seconds, job.gpus


def _drawn(jobs: Sequence[RawJob], kinds: Sequence[str], seed: int) -> list[str]:
    if not kinds:
        raise UserError("kinds: must name at least one, as resnet50-256 (is empty)")
    # Of all that `random` does, only random() is promised to be the same in every release of Python.
    draw = random.Random(seed)  # noqa: S311 - an experiment, no secret
    return [kinds[int(draw.random() * len(kinds))] for _ in jobs]


def _mapped(jobs: Sequence[RawJob], kinds: Mapping[str, str]) -> list[str]:
    told = [(job.kind or "", (job.kind or "").partition(" (")[0]) for job in jobs]
    unknown = sorted({whole for whole, family in told if whole not in kinds and family not in kinds})
    if unknown:
        named = ", ".join(repr(kind) if kind else "none at all" for kind in unknown)
        raise UserError(f"kinds: the trace has job types that the table does not map: {named}; add them to the table")
    return [kinds.get(whole) or kinds[family] for whole, family in told]


def _check_experiment(nodes: Sequence[SimNode]) -> None:
    models = [node.gpu_model for node in nodes if node.gpus == _NODE_GPUS]
    needed = _MAX_GPUS // _NODE_GPUS
    if len(models) < len(nodes) or max(map(models.count, models), default=0) < needed:
        raise UserError(
            f"nodes: the experiment's largest jobs take {needed} nodes of {_NODE_GPUS} GPUs of one model, so all nodes"
            f" must have {_NODE_GPUS} and one model {needed} nodes: use the cluster of the experiment's own file"
        )


def _file_in(path: Path, names: Sequence[str]) -> Path:
    """The path itself, or in a folder the first of these names that is there."""
    if not path.is_dir():
        return path
    found = next((path / name for name in names if (path / name).is_file()), None)
    if found is None:
        raise InvalidTrace(str(path), (), f"holds none of {', '.join(names)}: name the file itself")
    return found


def _moment(cells: Mapping[str, str], field: str) -> float:
    text = cells[field].strip()
    if _EPOCH.fullmatch(text):
        return float(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        remedy = "must be a moment as 2017-11-08 08:12:11, or seconds since 1970"
        raise Refused(field, cells[field], remedy) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
