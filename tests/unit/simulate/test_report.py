"""Tables, JSON and CSV of a comparison."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import fields, replace

import pytest

from ballast.simulate.comparison.comparison import Check, Comparison
from ballast.simulate.engine.outcome import JobRow
from ballast.simulate.report import report as reports
from tests.unit.simulate.made_up import KWH, arm, comparison, report, row


def _line(text: str, policy: str) -> str:
    return next(line for line in text.splitlines() if line.strip().startswith(policy))


def test_a_line_says_energy_and_savings_with_their_spread() -> None:
    text = reports.render(report(comparison({"base": (100.0, 200.0), "half": (50.0, 100.0)})))
    assert _line(text, "half").split()[:7] == ["half", "75.0", "±", "317.7", "50.0", "±", "0.0"]
    assert "energy, kWh" in text


def test_savings_against_a_second_policy_are_shown_only_where_there_is_one() -> None:
    arms = [arm("base", kwh=100), arm("other", kwh=50), arm("new", kwh=40)]
    plain = reports.render(report(Comparison.of(arms, ["base", "other", "new"])))
    assert "against" not in plain.splitlines()[0]
    both = reports.render(report(Comparison.of(arms, ["base", "other", "new"], second="other")))
    assert "saved, %  against other, %" in both.splitlines()[0]
    assert _line(both, "new").split()[1:4] == ["40.0", "60.0", "20.0"]


def test_one_seed_shows_no_spread() -> None:
    text = reports.render(report(comparison({"base": (100.0,), "half": (50.0,)})))
    assert "±" not in _line(text, "half")


def test_groups_stand_under_their_titles_with_the_baseline_first() -> None:
    made = comparison({"base": (1.0,), "careless": (1.0,), "careful": (1.0,)}, keeps=("careful",))
    lines = [line.split("  ")[0] or line.split()[0] for line in reports.render(report(made)).splitlines()[2:8]]
    expected = [
        "baseline",
        "base",
        "policies that see to the jobs' slowdown",
        "careful",
        "policies that do not",
        "careless",
    ]
    assert lines == expected


def test_parts_of_the_energy_have_the_unit_of_the_whole() -> None:
    headings = reports.render(report(comparison({"base": (12_000.0,)}))).splitlines()[0]
    for heading in ("energy", "dynamic", "GPUs idle", "nodes' base"):
        assert f"{heading}, MWh" in headings  # a quarter of it alone would be told in kWh


def test_columns_are_aligned() -> None:
    text = reports.render(report(comparison({"first": (1234.5,), "another-name": (2.0,)})))
    rule = text.splitlines()[1]
    for policy in ("first", "another-name"):
        assert len(_line(text, policy)) == len(rule)


def test_grams_cost_boots_and_deadlines_are_shown_only_where_there_are_some() -> None:
    plain = reports.render(report(comparison({"base": (1.0,)})))
    full = arm("base", grams=5e3, cost=12.5, boot_joules=KWH, deadlines=4, deadlines_missed=0)
    rich = reports.render(report(Comparison.of([full], ["base"])))
    for heading in ("CO2e, kg", "cost", "boots, ", "deadlines missed"):
        assert heading not in plain
        assert heading in rich


def test_a_rule_that_did_not_hold_is_told_and_else_their_number() -> None:
    made = comparison({"base": (1.0,)})
    good, bad = Check("arms differ", held=True), Check("three seeds", held=False, detail="1")
    assert "All 2 rules of the harness held." in reports.render(report(made, (good, good)))
    assert "NOT HELD: three seeds (1)" in reports.render(report(made, (good, bad)))


def test_what_was_simulated_and_what_the_figures_do_not_say_goes_with_the_table() -> None:
    text = reports.render(report(comparison({"base": (1.0,)})))
    assert "  trace   made up & <short>\n  curves  none\n" in text
    assert text.endswith("- A caveat.\n")


def test_sentences_are_no_wider_than_a_terminal() -> None:
    made = report(comparison({"base": (1.0,)}))
    long = replace(made, facts=(("trace", "a word " * 60),), caveats=("another word " * 60,))
    told = reports.render(long).partition("What was simulated")[2].splitlines()
    assert len(told) > 10
    assert max(map(len, told)) <= 120


def test_json_has_base_units_and_its_schema() -> None:
    document = json.loads(reports.as_json(report(comparison({"base": (100.0, 200.0), "half": (50.0, 100.0)}))))
    assert document["schema"] == "ballast.dev/simulation/v1"
    (section,) = document["sections"]
    base, half = section["policies"]
    assert base["figures"]["joules"]["mean"] == pytest.approx(150 * KWH)
    assert base["saved_percent"]["joules"] is None
    assert half["saved_percent"]["joules"]["mean"] == pytest.approx(50)
    assert half["figures"]["grams"] is None
    assert [(one["policy"], one["seed"]) for one in section["arms"]] == [
        ("base", 0),
        ("base", 1),
        ("half", 0),
        ("half", 1),
    ]


def test_a_line_of_csv_for_each_job() -> None:
    rows = [row("a", deadline=7.5, deadline_met=False), row("b, with comma")]
    lines = list(csv.DictReader(io.StringIO(reports.jobs_csv("base", 3, rows))))
    assert [(line["policy"], line["seed"], line["name"]) for line in lines] == [
        ("base", "3", "a"),
        ("base", "3", "b, with comma"),
    ]
    assert (lines[0]["deadline"], lines[0]["deadline_met"]) == ("7.5", "false")
    assert (lines[1]["deadline"], lines[1]["slowdown_kept"]) == ("", "true")
    assert set(lines[0]) == {"policy", "seed", *(field.name for field in fields(JobRow))}
