"""What is told of an experiment: a section for each table and load, both baselines, and what is not done yet."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ballast.errors import UserError
from ballast.simulate.comparison.arms import Compared
from ballast.simulate.comparison.comparison import ArmResult
from ballast.simulate.experiments.report import markdown, report_of, section_of, write
from ballast.simulate.report.report import render
from tests.unit.simulate.made_up import arm
from tests.unit.simulate.tiny_experiment import Tiny

POLICIES = ("fifo-spread", "per-job-limit", "static-cap")
KWH = dict(zip(POLICIES, (100.0, 80.0, 90.0), strict=True))


def _compared(seed: int) -> Compared:
    arms = tuple(
        arm(policy, seed, kwh=kwh + seed, keeps_slowdown=policy == "per-job-limit") for policy, kwh in KWH.items()
    )
    return Compared(seed, arms, ())


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """Three arms; of the first case all seeds are kept, of the second one."""
    made = Tiny(tmp_path, policies=[*POLICIES], tables=[{"name": "nodes stay on"}])
    for case, seeds in zip(made.plan.experiment.cases, ((0, 1, 2), (1,)), strict=True):
        for seed in seeds:
            made.keep(case, _compared(seed))
    return made


def test_savings_are_against_the_baseline_and_per_job_limit_by_seed(tiny: Tiny) -> None:
    section = section_of(tiny.plan.experiment.cases[0], [_compared(0), _compared(1)], POLICIES)
    assert section.title == "nodes stay on, 50 % load"
    static = section.comparison.entries[2]
    pairs = {"baseline": ((100, 90), (101, 91)), "second": ((80, 90), (81, 91))}
    for second, key in ((False, "baseline"), (True, "second")):
        wanted = [100 * (1 - own / other) for other, own in pairs[key]]
        assert static.savings_percent(lambda summary: summary.joules, second=second) == pytest.approx(wanted)


def test_arms_that_keep_the_slowdown_stand_apart(tiny: Tiny) -> None:
    section = section_of(tiny.plan.experiment.cases[0], [_compared(0)], POLICIES)
    apart = {title: [entry.policy for entry in entries] for title, entries in section.comparison.groups}
    assert [*apart.values()] == [["fifo-spread"], ["per-job-limit"], ["static-cap"]]


def test_a_report_has_a_section_for_each_case_and_says_what_is_lacking(tiny: Tiny) -> None:
    report = report_of(tiny.plan, tiny.kept, ("A caveat.",), "Not measured.")
    assert [section.title for section in report.sections] == ["nodes stay on, 50 % load", "nodes stay on, 90 % load"]
    assert report.caveats == (
        "Not measured.",
        "Not all seeds are done (nodes stay on, 90 % load: 1 of 3): the figures are of those that are.",
        "A caveat.",
    )
    verdicts = [{check.rule: check.held for check in section.checks} for section in report.sections]
    assert all(verdicts[0].values())
    assert [rule for rule, held in verdicts[1].items() if not held] == ["at least 3 seeds"]


def test_rows_of_jobs_are_read_for_the_drawings_and_not_held(tiny: Tiny) -> None:
    drawn: list[int] = []

    def arms(section_arms: tuple[ArmResult, ...]) -> int:
        return sum(len(one.jobs) for one in section_arms)

    report = report_of(
        tiny.plan,
        tiny.kept,
        (),
        "",
        lambda case, section: drawn.append(sum(arms(entry.arms) for entry in section.comparison.entries)),
    )
    assert drawn == [3 * 3 * 2, 3 * 2]
    entries = [entry for section in report.sections for entry in section.comparison.entries]
    assert sum(arms(entry.arms) + arms(entry.baseline) + arms(entry.second) for entry in entries) == 0


def test_an_experiment_of_which_nothing_is_done_has_no_report(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path)
    with pytest.raises(UserError, match="no seed has all of its arms"):
        report_of(tiny.plan, tiny.kept, (), "")


def test_a_case_that_is_not_begun_is_left_out_and_told(tmp_path: Path) -> None:
    tiny = Tiny(tmp_path, policies=[*POLICIES], tables=[{"name": "nodes stay on"}])
    tiny.keep(tiny.plan.experiment.cases[1], _compared(0))
    report = report_of(tiny.plan, tiny.kept, (), "")
    assert [section.title for section in report.sections] == ["nodes stay on, 90 % load"]
    assert "50 % load: 0 of 3" in report.caveats[1]


def test_what_is_written_says_what_it_is_of_and_names_no_folder(tiny: Tiny, tmp_path: Path) -> None:
    report = write(tiny.plan, tiny.kept, ("A caveat.",), "Not measured.")
    texts = {name: (tiny.out / name).read_text() for name in ("table.txt", "results.json", "report.md")}
    assert texts["table.txt"] == render(report)
    for text in texts.values():
        assert tiny.kept.identity["code"] in text
        assert str(tmp_path) not in text
        assert "against per-job-limit" in text or '"second": "per-job-limit"' in text
    entry = json.loads(texts["results.json"])["sections"][0]["policies"][2]
    assert entry["saved_percent"]["joules"]["seeds"] == 3
    assert entry["saved_percent_second"]["joules"]["mean"] == pytest.approx(-12.35, abs=0.01)
    for case in tiny.plan.experiment.cases:
        names = {path.name for path in (tiny.out / case.slug).iterdir()}
        assert {"joules.svg", "power.png", "pareto.svg", "report.html", "arms.csv"} <= names
        assert "Not measured." in (tiny.out / case.slug / "report.html").read_text()


def test_markdown_has_tables_and_drawings_of_its_cases(tiny: Tiny) -> None:
    report = report_of(tiny.plan, tiny.kept, (), "")
    text = markdown(report, {"nodes stay on, 50 % load": "nodes-stay-on-50"})
    assert text.count("## nodes stay on") == 2
    assert "![joules of nodes stay on, 50 % load](nodes-stay-on-50/joules.svg)" in text
    assert "of nodes stay on, 90 % load](" not in text
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert all(line.endswith("|") for line in rows)
    heads = [number for number, line in enumerate(rows) if line.startswith(("| Energy", "| Time"))]
    assert len(heads) == 4
    for head, end in zip(heads, [*heads[1:], len(rows)], strict=True):
        assert len({line.count("|") for line in rows[head:end]}) == 1
    assert "NOT HELD: at least 3 seeds (1)" in text
    assert "- `static-cap`: paper on static-cap" in text
