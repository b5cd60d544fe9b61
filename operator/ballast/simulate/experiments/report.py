"""What an experiment came to: a section for each table and load, as text, JSON, Markdown and drawings.

What must hold: savings are paired by seed, against the baseline and against `SECOND`, which chooses power limits for
each job and places as everybody does; what is not done yet is told. Nothing that is written names a folder of the
machine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from ballast.errors import UserError
from ballast.simulate.comparison.arms import Compared, checks
from ballast.simulate.comparison.comparison import ArmResult, Comparison
from ballast.simulate.experiments.experiment import Case, Plan, missing
from ballast.simulate.experiments.kept import Kept
from ballast.simulate.report import html, plots
from ballast.simulate.report.report import NOTES, Report, Section, Table, arms_csv, as_json, render, tables
from ballast.simulate.setups import described_nodes, described_rules, described_version

SECOND: Final = "per-job-limit"
"""The policy that savings are against too."""
TABLE, JSON, PAGE, ARMS, MARKDOWN = "table.txt", "results.json", "report.html", "arms.csv", "report.md"
_SHOWN = ("joules", "pareto")
"""Drawings of a case in the Markdown; the others are in its page."""


def section_of(case: Case, found: Sequence[Compared], policies: Sequence[str]) -> Section:
    """What a case came to.

    Args:
        case: Which heads the section.
        found: By seed; at least one.
        policies: All arms, the baseline first.
    """
    second = SECOND if policies[0] != SECOND else ""
    comparison = Comparison.of([arm for seed in found for arm in seed.arms], policies, second)
    return Section(str(case), comparison, checks(found, policies))


def report_of(
    plan: Plan,
    kept: Kept,
    caveats: Sequence[str],
    banner: str,
    draw: Callable[[Case, Section], None] = lambda case, section: None,
) -> Report:
    """Everything that is kept; of the jobs' rows only what they add up to.

    Args:
        plan: The experiment; loads and seeds that it was narrowed to are told of, no others.
        kept: Its results.
        caveats: What figures of any simulation do not say.
        banner: Likewise, where the curves are not measured.
        draw: Called with each section while it still has the jobs' rows: those of all together would be a gigabyte.

    Raises:
        UserError: No seed of any case has all of its arms.
    """
    experiment = plan.experiment
    sections: list[Section] = []
    lacking: list[str] = []
    for case in experiment.cases:
        left = missing(experiment, case, kept)
        done = [seed for seed in experiment.seeds if seed not in left]
        if left:
            lacking.append(f"{case}: {len(done)} of {len(experiment.seeds)}")
        if done:
            section = section_of(case, [kept.read(case.slug, seed, with_jobs=True) for seed in done], experiment.arms)
            draw(case, section)
            sections.append(_without_jobs(section))
    if not sections:
        raise UserError("no seed has all of its arms: there is nothing to compare")
    told = [*caveats]
    if lacking:
        told.insert(0, f"Not all seeds are done ({'; '.join(lacking)}): the figures are of those that are.")
    if not plan.curves.measured:
        told.insert(0, banner)
    return Report(f"Experiment {experiment.name}", facts_of(plan, kept), tuple(sections), tuple(told))


def _without_jobs(section: Section) -> Section:
    def bare(arms: Sequence[ArmResult]) -> tuple[ArmResult, ...]:
        return tuple(replace(arm, jobs=()) for arm in arms)

    entries = tuple(
        replace(entry, arms=bare(entry.arms), baseline=bare(entry.baseline), second=bare(entry.second))
        for entry in section.comparison.entries
    )
    return replace(section, comparison=replace(section.comparison, entries=entries))


def facts_of(plan: Plan, kept: Kept) -> tuple[tuple[str, str], ...]:
    """What was simulated."""
    wanted = plan.experiment
    deadlines = (
        f"; one in {wanted.deadline_every} must be done by its submission and {wanted.deadline_durations:g} times its"
        " duration"
        if wanted.deadline_every
        else ""
    )
    return (
        (
            "jobs",
            (
                f"Philly's November 2017 ({len(plan.november):,} jobs): every tenth, the first by seed; kinds drawn of"
                f" {', '.join(wanted.kinds)}; each may be {wanted.max_slowdown_percent:g} % slower{deadlines}"
            ),
        ),
        ("experiment", f"{plan.source}, {wanted.name}"),
        ("cluster", described_nodes(plan.nodes)),
        ("curves", f"{plan.curves.source} ({'measured' if plan.curves.measured else 'NOT measured'})"),
        ("seeds", ", ".join(map(str, wanted.seeds))),
        *((f"rules, {table.name}", described_rules(table.options)) for table in wanted.tables),
        ("version", described_version()),
        ("computed by", ", ".join(f"{name} {value}" for name, value in kept.identity.items())),
    )


def write(plan: Plan, kept: Kept, caveats: Sequence[str], banner: str) -> Report:
    """Write the report beside what is kept: text, JSON and Markdown, and for each case drawings, sums and a page.

    Args:
        plan: See `report_of`.
        kept: Likewise.
        caveats: Likewise.
        banner: Likewise.
    """
    said = "" if plan.curves.measured else banner
    facts = facts_of(plan, kept)

    def draw(case: Case, section: Section) -> None:
        folder = kept.folder / case.slug
        plots.save(section.comparison, folder)
        own = Report(f"Experiment {plan.experiment.name}: {case}", facts, (replace(section, title=""),), tuple(caveats))
        (folder / PAGE).write_text(html.page(own, said), encoding="utf-8")
        sums = [arm for entry in section.comparison.entries for arm in entry.arms]
        (folder / ARMS).write_text(arms_csv(sums), encoding="utf-8")

    report = report_of(plan, kept, caveats, banner, draw)
    folders = {str(case): case.slug for case in plan.experiment.cases}
    texts = {TABLE: render(report), JSON: as_json(report), MARKDOWN: markdown(report, folders, said)}
    for name, text in texts.items():
        (kept.folder / name).write_text(text, encoding="utf-8")
    return report


def markdown(report: Report, folders: Mapping[str, str], banner: str = "") -> str:
    """The report as Markdown.

    Args:
        report: To tell.
        folders: Of a section's drawings, by its title, relative to the file; those of others are not shown.
        banner: What a reader must know before any figure; may be empty.
    """
    return "\n".join(_lines(report, folders, banner)) + "\n"


def _lines(report: Report, folders: Mapping[str, str], banner: str) -> Iterator[str]:
    yield f"# {report.title}\n"
    if banner:
        yield f"**{banner}**\n"
    yield from (f"- {name}: {text}" for name, text in report.facts)
    yield ""
    yield from (f"{text}\n" for text in NOTES)
    for section in report.sections:
        yield f"## {section.title}\n"
        for table in tables(section.comparison):
            yield from _table(table)
            yield ""
        if (folder := folders.get(section.title)) is not None:
            yield from (f"![{name} of {section.title}]({folder}/{name}.svg)\n" for name in _SHOWN)
        if section.checks:
            broken = [check for check in section.checks if check.held is not True]
            yield from (f"- {check.verdict}: {check.rule} ({check.detail})" for check in broken)
            if not broken:
                yield f"All {len(section.checks)} rules of the harness held."
            yield ""
    yield "## What the figures do not say\n"
    yield from (f"- {text}" for text in report.caveats)
    yield "\n## Policies\n"
    known = {entry.policy: entry for section in report.sections for entry in section.comparison.entries}
    yield from (f"- `{name}`: {entry.reference}" for name, entry in known.items())


def _table(table: Table) -> Iterator[str]:
    first, *others = table.headings
    yield f"| {table.title}: {first} | {' | '.join(others)} |"
    yield f"| --- |{' --: |' * len(others)}"
    for title, lines in table.groups:
        yield f"| *{title}* |{'  |' * len(others)}"
        yield from (f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines)
