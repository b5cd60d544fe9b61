"""The survey's Table 1 on this machine: which trials it takes, and what they say against claims and aims.

A case is judged by every kind of figure there is for it, each on its own: by counters if the machine has some, and else
by both estimates, time x power model and counted operations x published picojoules. Where the two disagree the table
says both; none is picked. What must hold: a verdict follows from the interval alone, and one that rests on an estimate
says so.
"""

from __future__ import annotations

import io
import tokenize
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from frugal import techniques as technique_modules
from frugal.bench import survey
from frugal.bench.comparison import Comparison, Interval, compare
from frugal.bench.operations import examples_paid_for
from frugal.bench.plan import BOTH, Case, Plan
from frugal.bench.records import Phase, Trial
from frugal.bench.survey import Aim, Base, Basis, Claim, Row, Setup, Variant
from frugal.bench.tables import Kind
from frugal.config import TrainConfig
from frugal.errors import ConfigError

Count = Callable[[Trial], float | None]
"""Joules of one example by counted operations; None where they cannot be counted."""

_DIGITS = 9  # of percent: what differs by less is rounding, and shapes give savings that lie on a claim exactly
_SHORT = {
    Kind.MEASURED: "measured",
    Kind.TIME: "estimate t",
    Kind.OPERATIONS: "estimate o",
    Kind.SIMULATED: "simulated",
}
_NO_CODE = frozenset(
    {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one kind of figure says.

    Attributes:
        claim: Against the survey's: ``holds``, ``contradicts: …``, ``open: …``, or what it does and that nothing is
            comparable.
        aim: Whether ours is reached, in words; None without an aim, or where this kind does not count for it.
        reached: The same as a value.
    """

    kind: Kind
    claim: str
    aim: str | None = None
    reached: bool | None = None

    def __str__(self) -> str:
        return f"{_SHORT[self.kind]}: {self.claim}"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One case of a row, over its seeds.

    Attributes:
        savings: In percent of the paired baseline's energy, by what they rest on.
        words: What a user adds to ``frugal train``: a ``--with`` word each.
        module_lines: Lines of code of the techniques' modules, what they share left out: nobody has to write them, and
            they are a lower bound of what they spare.
    """

    variant: Variant
    comparison: Comparison
    baseline: Comparison | None
    savings: Mapping[Kind, Interval]
    words: tuple[str, ...]
    module_lines: int
    verdicts: tuple[Verdict, ...]


@dataclass(frozen=True, kw_only=True)
class Outside:
    """What something else than the bench's trials found for a row.

    Attributes:
        change: Of accuracy, in percentage points; None where nothing of a model changes.
    """

    name: str
    saving: Interval
    note: str
    verdict: Verdict
    change: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A row of the survey with its lines; without any, `Row.missing` says what is."""

    row: Row
    lines: tuple[Line, ...]
    outside: tuple[Outside, ...] = ()


def make_plan(defaults: TrainConfig, seeds: Sequence[int], *, device: str, rows: Sequence[Row] = survey.ROWS) -> Plan:
    """Every case that the rows need on ``device``, and the baselines of these; each trained once a seed.

    Args:
        defaults: Data, epochs, batch size…; the model is the baseline's.
        seeds: Each case is run with each.
        device: cpu or cuda.
        rows: Those of the table that are wanted.

    Raises:
        ConfigError: None of the rows has a case that runs here.
    """
    variants = [(row, variant) for row in rows for variant in row.variants if device in variant.devices]
    if not variants:
        raise ConfigError(
            "only",
            ",".join(row.key for row in rows),
            f"no trial stands for this on device={device}: name other rows beside it",
        )
    setup = survey.SETUPS[device]
    bases: dict[str, Base] = {}
    phases: dict[str, set[Phase]] = {}
    for row, variant in variants:
        base = setup.bases[variant.base]
        bases[base.name] = base
        phases.setdefault(base.name, set()).add(_phase(row, variant))
    cases = [
        _case(name, base, defaults, phases=tuple(phase for phase in BOTH if phase in phases[name]))
        for name, base in bases.items()
    ]
    for row, variant in variants:
        base = setup.bases[variant.base]
        case = _case(case_name(row, variant), base, defaults, phases=(_phase(row, variant),))
        specs = _words(variant, setup, case.config.epochs)
        kept = base.techniques if variant.instead is None else ()
        cases.append(replace(case, techniques=kept + specs, baseline=base.name))
    return Plan(name=f"the survey's Table 1 on {device}", cases=tuple(cases), seeds=tuple(seeds))


def case_name(row: Row, variant: Variant) -> str:
    """What the case of ``variant`` is called in records."""
    return f"{row.key}: {variant.name}"


def entries(
    trials: Sequence[Trial], *, plan: Plan, device: str, count: Count, rows: Sequence[Row] = survey.ROWS
) -> list[Entry]:
    """The table: every row, with a line for each of its cases that there are trials of."""
    setup = survey.SETUPS[device]
    compared = {(entry.case, entry.phase): entry for entry in compare(trials)}
    found = []
    for row in rows:
        lines = []
        for variant in row.variants:
            phase = _phase(row, variant)
            comparison = compared.get((case_name(row, variant), phase))
            if comparison is not None:
                words = _words(variant, setup, plan.case(comparison.case).config.epochs)
                baseline = compared.get((setup.bases[variant.base].name, phase))
                counted = operations_saving(trials, comparison, count)
                lines.append(_line(row, variant, words, comparison, baseline, counted))
        found.append(Entry(row=row, lines=tuple(lines)))
    return found


def operations_saving(trials: Sequence[Trial], comparison: Comparison, count: Count) -> Interval | None:
    """Percent of counted joules saved, paired by seed; a training's by all its examples, an answer's by one."""
    by_key = {trial.key: trial for trial in trials}
    savings = []
    for seed in comparison.seeds:
        own = by_key[comparison.case, comparison.phase, seed]
        base = None if comparison.baseline is None else by_key.get((comparison.baseline, comparison.phase, seed))
        if base is None:
            continue
        spent, before = count(own), count(base)
        if spent is None or not before:
            return None
        if comparison.phase is Phase.TRAINING:
            spent, before = spent * examples_paid_for(own), before * examples_paid_for(base)
        savings.append(100 * (1 - spent / before))
    return Interval.of(savings) if savings else None


def judge_claim(claim: Claim, saving: Interval) -> str:
    """What a saving says of a claim, in words.

    A claim of "up to" is contradicted by a loss, and by more than it allows; one of "more than" by less. Where the
    interval reaches both sides, or one seed gives none, nothing is decided.
    """
    if claim.percent is None:
        what = "the survey gives no figure" if claim.variable else "the survey claims nothing"
        return f"{_does(saving)}; not comparable: {what}"
    low, high = saving.low, saving.high
    if low is None or high is None:
        return f"open: {_does(saving)}, by one seed"
    low, high = round(low, _DIGITS), round(high, _DIGITS)
    if claim.most_percent is not None:
        if high < 0:
            return f"contradicts: {_does(saving)} instead of saving"
        if low > claim.most_percent:
            return f"contradicts: {_does(saving)}, more than the {claim.percent:g} % claimed as the most"
        if low == high == 0:
            return "open: neither saves nor costs anything"
        return "holds" if low > 0 else "open: the interval reaches from a loss to a saving"
    if high <= claim.percent:
        return f"contradicts: {_does(saving)}, where more than {claim.percent:g} % is claimed"
    return "holds" if low > claim.percent else f"open: the interval reaches below {claim.percent:g} %"


def judge_aim(aim: Aim, saving: Interval, accuracy_change_points: Interval | None) -> tuple[str, bool]:
    """Whether the means over seeds reach an aim, in words and as a value."""
    change = None if accuracy_change_points is None else accuracy_change_points.mean
    if change is None:
        return f"{aim} missed: no accuracy to compare", False
    if not aim.reached(round(saving.mean, _DIGITS)):
        return f"{aim} missed: {_does(saving)}", False
    if change < -survey.ACCURACY_MARGIN_POINTS:
        return f"{aim} missed: accuracy falls by {-change:.1f} points", False
    return f"{aim} reached", True


def judge(row: Row, kind: Kind, saving: Interval, accuracy_change_points: Interval | None) -> Verdict:
    """What one kind of figure says of a row's claim, and of its aim where the kind counts for that."""
    said = judge_claim(row.claim, saving)
    if accuracy_change_points is not None and accuracy_change_points.mean < -survey.ACCURACY_MARGIN_POINTS:
        said += f", while accuracy falls by {-accuracy_change_points.mean:.1f} points"
    verdict = Verdict(kind=kind, claim=said)
    if row.aim is None or (row.aim.basis is Basis.OPERATIONS and kind is not Kind.OPERATIONS):
        return verdict
    aim, reached = judge_aim(row.aim, saving, accuracy_change_points)
    return replace(verdict, aim=aim, reached=reached)


def code_lines(source: str) -> int:
    """Lines of Python that hold code: no blank ones, comments or docstrings."""
    lines: set[int] = set()
    statement: list[tokenize.TokenInfo] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.NEWLINE:
            if [part.type for part in statement] != [tokenize.STRING]:  # a docstring is a statement of its own
                lines.update(row for part in statement for row in range(part.start[0], part.end[0] + 1))
            statement = []
        elif token.type not in _NO_CODE:
            statement.append(token)
    return len(lines)


def module_lines(specs: Sequence[str]) -> int:
    """`code_lines` of the modules of the techniques that ``specs`` name; 0 for a user's own."""
    folder = Path(technique_modules.__path__[0])
    names = {spec.partition(",")[0] for spec in specs}
    paths = [folder / f"{name.replace('-', '_')}.py" for name in names if ":" not in name]
    return sum(code_lines(path.read_text(encoding="utf-8")) for path in paths)


def _phase(row: Row, variant: Variant) -> Phase:
    phase = variant.phase or row.phase
    if phase is None:
        raise ConfigError("phase", None, f"row {row.key!r} has cases, so it needs a phase that they are judged in")
    return phase


def _case(name: str, base: Base, defaults: TrainConfig, phases: tuple[Phase, ...]) -> Case:
    config = replace(
        defaults,
        model=base.model,
        epochs=defaults.epochs * base.epochs_factor,
        lr=defaults.lr if base.lr is None else base.lr,
    )
    return Case(name=name, config=config, techniques=base.techniques, phases=phases)


def _words(variant: Variant, setup: Setup, epochs: int) -> tuple[str, ...]:
    """What a user writes after ``--with``, network included where it is another than the baseline's."""
    specs = (*(variant.instead or ()), *variant.techniques)
    return tuple(spec.format(**setup.words, epochs=epochs) for spec in specs)


def _line(
    row: Row,
    variant: Variant,
    words: tuple[str, ...],
    comparison: Comparison,
    baseline: Comparison | None,
    counted: Interval | None,
) -> Line:
    found = {
        Kind.MEASURED: comparison.measured_saving,
        Kind.TIME: comparison.estimated_saving,
        Kind.OPERATIONS: counted,
    }
    savings = {kind: interval for kind, interval in found.items() if interval is not None}
    return Line(
        variant=variant,
        comparison=comparison,
        baseline=baseline,
        savings=savings,
        words=words,
        module_lines=module_lines(words),
        verdicts=_verdicts(row, savings, comparison.accuracy_change_points),
    )


def _verdicts(row: Row, savings: Mapping[Kind, Interval], change: Interval | None) -> tuple[Verdict, ...]:
    counting = [Kind.MEASURED] if Kind.MEASURED in savings else [kind for kind in Kind if kind in savings]
    if row.aim is not None and row.aim.basis is Basis.OPERATIONS and Kind.OPERATIONS in savings:
        counting = [*(kind for kind in counting if kind is not Kind.OPERATIONS), Kind.OPERATIONS]
    return tuple(judge(row, kind, savings[kind], change) for kind in counting)


def _does(saving: Interval) -> str:
    return f"saves {saving.mean:.0f} %" if saving.mean >= 0 else f"costs {-saving.mean:.0f} % more"
