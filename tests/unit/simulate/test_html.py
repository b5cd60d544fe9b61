"""The report as one HTML file."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from ballast.simulate.comparison.comparison import Check
from ballast.simulate.report import html
from tests.unit.simulate.made_up import comparison, report

_MADE = comparison({"base": (100.0, 120.0), "new": (80.0, 90.0)}, keeps=("new",))
_VOID = {"meta"}


class _Balance(HTMLParser):
    """Tags that are open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_every_tag_is_closed_and_every_id_stands_once() -> None:
    parser = _Balance()
    parser.feed(html.page(report(_MADE)))
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))


def test_it_needs_nothing_from_elsewhere() -> None:
    text = html.page(report(_MADE))
    assert "<script" not in text
    assert "<link" not in text
    assert not re.findall(r'\bsrc=|(?:href|url)\s*[=(]\s*["\']?https?:', text)
    assert text.count("<svg") == 4


def test_facts_caveats_checks_and_references_are_told_and_escaped() -> None:
    checks = (Check("arms <differ>", held=True, detail="a & b"), Check("seeds", held=False))
    text = html.page(report(_MADE, checks), banner="Not <measured>")
    for told in (
        "made up &amp; &lt;short&gt;",
        "A caveat.",
        "arms &lt;differ&gt; (a &amp; b)",
        "NOT HELD",
        "paper on new",
    ):
        assert told in text
    assert '<p class="banner">Not &lt;measured&gt;</p>' in text
    assert "<short>" not in text


def test_figures_of_both_policies_are_in_its_tables() -> None:
    text = html.page(report(_MADE))
    assert "<td>new</td><td>85.0 ± 63.5</td>" in text
