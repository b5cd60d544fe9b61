"""An experiment: a file that says on which jobs, at which loads, with which seeds and by which rules arms are compared.

A table is one set of rules (nodes stay on; empty nodes are switched off), a case is a table at one load. What must
hold: the jobs of a seed and a load are the same in every arm and in every table; every arm runs in a process of its
own; what is done is kept at once (`ballast.simulate.experiments.kept`), and a case's seed that was kept is not run
again. The file decides what is compared: whoever runs it may leave loads and seeds out, and not add any.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import Field, ValidationError

from ballast.api.base import ApiModel, Integer, Number
from ballast.api.kinds import Problem
from ballast.api.quantities import Joules, Seconds
from ballast.decide.model.prior import Prior
from ballast.errors import UserError
from ballast.simulate.comparison import arms
from ballast.simulate.comparison.arms import Compared, Setup
from ballast.simulate.comparison.processes import Done
from ballast.simulate.curves import Curves, fitted_curves, zeus_curves
from ballast.simulate.engine.options import Options
from ballast.simulate.experiments.kept import Kept, identity_of
from ballast.simulate.fitting.leave_out import priors_without
from ballast.simulate.inputs.cluster import InvalidCluster, nodes_of, read_groups
from ballast.simulate.inputs.trace_formats import EXPERIMENT_RULES, RawJob, november_jobs, read_november
from ballast.simulate.job import TraceJob
from ballast.simulate.policies.catalogue import POLICIES
from ballast.simulate.policy import SimNode

PHILLY, ZEUS = "philly", "zeus"
"""Folders of an experiment's data."""
NEEDS_SERIES: Final = ("carbon-gate",)
"""Arms that differ from another only where there is a series of the electricity, which an experiment has not."""
MAX_LOAD = 10.0
MAX_SEED = 10_000
_SHOWN = 80  # characters of a value in a message
_MISSING = "is missing: write it; `ballast simulate` ships philly-november-2017 to begin with"


class InvalidExperiment(UserError):
    """An experiment file that says something impossible, or too little.

    Attributes:
        problems: Everything that is wrong with it; empty where it could not be read at all.
    """

    def __init__(self, source: str, problems: Sequence[Problem], message: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__(f"{source}: " + (message or "; ".join(map(str, problems))))


class Table(ApiModel):
    """Rules that hold in every arm alike."""

    name: Annotated[str, Field(min_length=1, max_length=80, pattern=r"[A-Za-z0-9]")]
    """Heads the table."""
    switch_off_after: Seconds | None = None
    """Nodes that held no job for so long are switched off; left out, they stay on."""
    boot_time: Annotated[Seconds, Field(gt=0)] | None = None
    """From a node's start until its jobs begin."""
    boot_energy: Joules | None = None
    """All that a node draws meanwhile."""

    @property
    def options(self) -> Options:
        """The engine's options; what is left out is as it is there."""
        stated = {
            "switch_off_after_seconds": self.switch_off_after,
            "boot_seconds": self.boot_time,
            "boot_joules": self.boot_energy,
        }
        return replace(Options(), **{name: float(value) for name, value in stated.items() if value is not None})


class Experiment(ApiModel):
    """What an experiment file says; `read_experiment` reads one, with its cluster."""

    name: Annotated[str, Field(max_length=60, pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")]
    """Of the experiment; results are kept under it."""
    jobs: Literal["philly-november"]
    """Job ``seed mod 10`` of Philly's November 2017 and every tenth after; see `trace_formats.november_jobs`."""
    kinds: Annotated[tuple[str, ...], Field(min_length=1, max_length=100)]
    """Each job draws one of them, all alike."""
    loads: Annotated[tuple[Annotated[Number, Field(gt=0, le=MAX_LOAD)], ...], Field(min_length=1, max_length=20)]
    """Shares of the GPUs that jobs ask for while they arrive."""
    seeds: Annotated[tuple[Annotated[Integer, Field(ge=0, le=MAX_SEED)], ...], Field(min_length=1, max_length=1000)]
    """Of the sample, the kinds, ties and the noise of readings."""
    max_slowdown_percent: Annotated[Number, Field(ge=0, le=1000)]
    """Of every job."""
    deadline_every: Annotated[Integer, Field(ge=0)] = 0
    """Every so manieth job has a deadline; 0 for none."""
    deadline_durations: Annotated[Number, Field(gt=0)] = 3.0
    """It is the submission plus so many times the job's duration."""
    tables: Annotated[tuple[Table, ...], Field(min_length=1, max_length=20)]
    """Each is run at every load."""
    baseline: str
    """The arm that savings are against."""
    policies: tuple[str, ...] = ()
    """Arms; left out, all that Ballast knows and that differ in such an experiment."""

    @property
    def arms(self) -> tuple[str, ...]:
        """Names of the arms, the baseline first."""
        named = self.policies or tuple(name for name in POLICIES if name not in NEEDS_SERIES)
        return (self.baseline, *(name for name in named if name != self.baseline))

    @property
    def cases(self) -> tuple[Case, ...]:
        """Every table at every load."""
        return tuple(Case(table, load) for table in self.tables for load in self.loads)

    def narrowed(self, loads: Sequence[float] | None = None, seeds: int | None = None) -> Experiment:
        """The same experiment with some of its loads, and the first of its seeds.

        Args:
            loads: None for all.
            seeds: How many; None for all.

        Raises:
            UserError: It has none of that load, or fewer seeds.
        """
        for load in loads or ():
            if load not in self.loads:
                told = ", ".join(f"{own:g}" for own in self.loads)
                raise UserError(f"loads: {self.name} has {told}, and not {load:g}: another load is another file")
        if seeds is not None and not 1 <= seeds <= len(self.seeds):
            raise UserError(f"seeds: {self.name} has {len(self.seeds)}: ask for 1 to so many (is {seeds})")
        kept = tuple(load for load in self.loads if loads is None or load in loads)
        return self.model_copy(update={"loads": kept, "seeds": self.seeds[:seeds]})


@dataclass(frozen=True, slots=True)
class Case:
    """A table at one load: what one comparison is of."""

    table: Table
    load: float

    def __str__(self) -> str:
        return f"{self.table.name}, {100 * self.load:g} % load"

    @property
    def slug(self) -> str:
        """For names of folders: ``nodes-stay-on-60``."""
        return f"{_slug(self.table.name)}-{100 * self.load:g}"


@dataclass(frozen=True, slots=True)
class Plan:
    """An experiment with all that it needs.

    Attributes:
        source: The file, as it is called in what people read: its name, without folders.
        november: The trace's month, in order.
        priors: By kind, fitted without that kind; None where the curves are not measured.
    """

    experiment: Experiment
    source: str
    nodes: tuple[SimNode, ...]
    curves: Curves
    november: tuple[RawJob, ...]
    priors: Mapping[str, Prior] | None

    def narrowed(self, loads: Sequence[float] | None = None, seeds: int | None = None) -> Plan:
        """The same plan for some of its loads and the first of its seeds; see `Experiment.narrowed`."""
        return replace(self, experiment=self.experiment.narrowed(loads, seeds))

    def setups(self, case: Case, seeds: Sequence[int], made: dict[tuple[int, float], list[TraceJob]]) -> list[Setup]:
        """What the arms of a case have in common, for each seed.

        Args:
            case: Of the experiment.
            seeds: Of them.
            made: Jobs by seed and load, for all tables: what is missing is added.
        """
        options = case.table.options
        return [
            Setup(
                seed,
                tuple(self._jobs(seed, case.load, made)),
                self.nodes,
                self.curves,
                options,
                priors=self.priors,
            )
            for seed in seeds
        ]

    def _jobs(self, seed: int, load: float, made: dict[tuple[int, float], list[TraceJob]]) -> list[TraceJob]:
        if (seed, load) not in made:
            wanted = self.experiment
            rules = replace(
                EXPERIMENT_RULES,
                max_slowdown_percent=wanted.max_slowdown_percent,
                deadline_every=wanted.deadline_every,
                deadline_durations=wanted.deadline_durations,
            )
            made[seed, load] = november_jobs(
                self.november, seed, load, self.nodes, self.curves, kinds=wanted.kinds, rules=rules
            )
        return made[seed, load]


@dataclass(frozen=True, slots=True)
class Told:
    """What happens in a case."""

    case: Case
    event: arms.Event


def experiment_file(named: str | Path) -> Path:
    """The file that a path or the name of an experiment of ours names.

    Raises:
        UserError: There is neither.
    """
    path = Path(named)
    if path.exists():
        return path
    ours = Path(str(files("ballast.simulate"))) / "experiments"
    found = ours / f"{named}.yaml"
    if path.name == str(named) and found.is_file():
        return found
    names = ", ".join(sorted(each.stem for each in ours.glob("*.yaml")))
    raise UserError(f"experiment {named}: there is no such file: name one, or one of ours ({names})")


def read_experiment(path: Path) -> tuple[Experiment, tuple[SimNode, ...]]:
    """Read an experiment file; returns what it says, and its cluster.

    Raises:
        InvalidExperiment: It can't be read, or something in it is wrong: names field, value and remedy of each problem.
    """
    source = path.name
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        told = error.strerror if isinstance(error, OSError) else error
        raise InvalidExperiment(str(path), (), f"{told}: name an experiment file in UTF-8") from error
    except yaml.YAMLError as error:
        raise InvalidExperiment(str(path), (), f"is no YAML: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise InvalidExperiment(str(path), (), f"must be a mapping, and is {type(document).__name__}: {_MISSING}")
    problems: list[Problem] = []
    nodes: tuple[SimNode, ...] = ()
    try:
        nodes = nodes_of(read_groups(document.pop("cluster", None), "cluster"), "cluster")
    except InvalidCluster as error:
        told_problems = [replace(found, field=f"cluster.{found.field}") for found in error.problems]
        problems += told_problems or [Problem("cluster", "", str(error).removeprefix("cluster: "))]
    try:
        experiment = Experiment.model_validate(document, by_alias=True, by_name=False)
    except ValidationError as error:
        raise InvalidExperiment(str(path), [*problems, *_retold(error)]) from error
    problems += _contradictions(experiment)
    if problems:
        raise InvalidExperiment(source, problems)
    return experiment, nodes


def read_plan(experiment_path: Path, data: Path) -> Plan:
    """Read an experiment with its data.

    Args:
        experiment_path: Its file.
        data: Folder with ``philly`` (the trace) and ``zeus`` (measured tables). Without the latter our own fitted
            curves are used, which the report says.

    Raises:
        UserError: Something is missing or wrong.
    """
    experiment, nodes = read_experiment(experiment_path)
    if not (data / PHILLY).is_dir():
        raise UserError(
            f"data {data}: has no folder {PHILLY}: name a folder with {PHILLY}/philly.csv.gz (the trace) and {ZEUS}/"
            " (Zeus's tables summary_power_v100.csv and summary_power_a40.csv)"
        )
    measured = (data / ZEUS).is_dir()
    curves = zeus_curves(data / ZEUS) if measured else fitted_curves()
    for kind in experiment.kinds:
        for model in sorted({node.gpu_model for node in nodes}):
            curves.of(kind, model)
    november = tuple(read_november(data / PHILLY))
    priors = priors_without(data / ZEUS, experiment.kinds) if measured else None
    return Plan(experiment, experiment_path.name, nodes, curves, november, priors)


def kept_in(folder: Path, experiment_path: Path, data: Path) -> Kept:
    """Where results of an experiment with these data, by this code, are kept.

    Raises:
        UserError: The folder cannot be written to, or holds results of something else.
    """
    return Kept(folder, identity_of(experiment_path, data, (PHILLY, ZEUS)))


def run_experiment(plan: Plan, kept: Kept, processes: int = 1) -> Generator[Told, None, None]:
    """Run what is not kept yet, and keep it; yields what happens.

    All seeds of a case are run before the next case. A seed one of whose arms failed is not kept.

    Args:
        plan: See `read_plan`.
        kept: Where results are, and go.
        processes: How many arms at a time.

    Raises:
        HarnessError: Arms cannot be compared.
    """
    names = plan.experiment.arms
    made: dict[tuple[int, float], list[TraceJob]] = {}
    for case in plan.experiment.cases:
        left = missing(plan.experiment, case, kept)
        if not left:
            continue
        with closing(arms.run_arms(names, plan.setups(case, left, made), processes)) as events:
            for event in events:
                if isinstance(event, Done):
                    kept.add_jobs(case.slug, event.task.policy, event.task.setup.seed, event.result.rows)
                elif isinstance(event, Compared) and len(event.arms) == len(names):
                    kept.add(case.slug, event)
                yield Told(case, event)


def missing(experiment: Experiment, case: Case, kept: Kept) -> list[int]:
    """Seeds of a case that are still to be run."""
    return [seed for seed in experiment.seeds if not kept.has(case.slug, seed, experiment.arms)]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _contradictions(experiment: Experiment) -> Iterator[Problem]:
    """What is wrong across fields."""
    for field in ("loads", "seeds", "kinds", "policies"):
        values = getattr(experiment, field)
        if len(set(values)) < len(values):
            yield Problem(field, repr(list(values)), "a value stands twice: name each once")
    slugs = [_slug(table.name) for table in experiment.tables]
    if len(set(slugs)) < len(slugs):
        titles = ", ".join(table.name for table in experiment.tables)
        yield Problem("tables", titles, "two have this name, or one that differs in signs only: rename one")
    for field, name in (("baseline", experiment.baseline), *(("policies", name) for name in experiment.policies)):
        if name not in POLICIES:
            yield Problem(field, repr(name), f"must be one of {', '.join(POLICIES)}")
        elif name in NEEDS_SERIES:
            yield Problem(field, repr(name), "waits for a carbon series, and an experiment has none: leave it out")


def _retold(error: ValidationError) -> Iterator[Problem]:
    """Pydantic's findings, each with a remedy."""
    details = error.errors(include_url=False)
    for detail in details:
        within = [other["loc"] for other in details if len(other["loc"]) > len(detail["loc"])]
        if detail["type"] == "too_short" and any(loc[: len(detail["loc"])] == detail["loc"] for loc in within):
            continue  # it is too short only because what is wrong in it does not count
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
        if detail["type"] == "missing":
            yield Problem(field, "", _MISSING)
            continue
        value: Any = detail["input"]
        shown = repr(value) if len(repr(value)) <= _SHOWN else repr(value)[: _SHOWN - 1] + "…"
        yield Problem(field, shown, _remedy(detail["type"], detail["msg"], detail["loc"]))


def _remedy(kind: str, message: str, place: tuple[int | str, ...]) -> str:
    if kind == "extra_forbidden":
        model = Experiment if len(place) == 1 else Table
        fields = [info.alias or name for name, info in model.model_fields.items()]
        fields += ["cluster"] if model is Experiment else []
        return f"unknown field: remove it, or spell it as one of {', '.join(fields)}"
    return message.removeprefix("Value error, ")
