"""A simulation as one HTML file: tables, drawings, what was simulated, which rules held, and what is not said.

What must hold: the file needs nothing else, neither scripts nor fonts nor pictures from anywhere, so that it can be
mailed and opened years later; everything that came from a user's file or name is escaped; on paper nothing is lost.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from ballast.simulate.report import plots
from ballast.simulate.report.report import NOTES, Check, Report, Section, Table, tables

_STYLE = """
:root { color-scheme: light; }
body { font: 15px/1.5 system-ui, sans-serif; color: #23262b; background: #fff; max-width: 70rem; margin: 2rem auto;
  padding: 0 1.2rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; }
h2 { font-size: 1.25rem; margin-top: 2.4rem; border-bottom: 1px solid #d5d8dc; }
h3 { font-size: 1.05rem; margin-bottom: .4rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums; }
th, td { padding: .22rem .7rem; text-align: right; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; padding-left: .2rem; }
thead th { border-bottom: 2px solid #30343b; vertical-align: bottom; }
tbody th { font-weight: normal; font-style: italic; color: #565b62; padding-top: .6rem; text-align: left; }
tbody tr:hover td { background: #f3f5f7; }
.facts th, .facts td, .checks td { text-align: left; white-space: normal; vertical-align: top; }
.facts th { font-weight: 600; padding-right: 1.4rem; white-space: nowrap; }
.held { color: #0b6b4b; } .broken { color: #a8320a; font-weight: 600; } .open { color: #565b62; }
.banner { border-left: 4px solid #d55e00; background: #fdf1e8; padding: .5rem .9rem; }
figure { margin: 1.2rem 0; } figure svg { max-width: 100%; height: auto; }
figcaption, .note { font-size: .85rem; color: #565b62; max-width: 56rem; }
ul.note { padding-left: 1.2rem; }
@media print {
  body { max-width: none; margin: 0; font-size: 10pt; }
  h2, h3 { break-after: avoid; } figure, table { break-inside: avoid; }
  .scroll { overflow: visible; } table { font-size: 7.5pt; } th, td { padding: .15rem .3rem; }
}
"""

_CAPTIONS = {
    "joules": "Energy of each policy by what it was spent on. In brackets: saved against the baseline, paired by seed.",
    "power": "Mean power of the whole cluster. The drain after the last arrival is mostly idle power.",
    "waiting-and-slowdown": "Share of all jobs that waited, and that were slowed down, at most so much.",
    "pareto": "Energy over completion time: better is to the left and below. A policy on a front is beaten by none of "
    "its group in both.",
}


def page(report: Report, banner: str = "") -> str:
    """The whole file.

    Args:
        report: What to tell.
        banner: What a reader must know before any figure, such as that nothing here was measured; may be empty.
    """
    return "\n".join(_page(report, banner)) + "\n"


def _page(report: Report, banner: str) -> Iterator[str]:
    yield '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">'
    yield '<meta name="viewport" content="width=device-width, initial-scale=1">'
    yield f"<title>{escape(report.title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>"
    yield f"<h1>{escape(report.title)}</h1>"
    if banner:
        yield f'<p class="banner">{escape(banner)}</p>'
    for number, section in enumerate(report.sections):
        yield from _section(section, f"s{number}")
    yield "<h2>What was simulated</h2>"
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in report.facts)
    yield f'<table class="facts"><tbody>{rows}</tbody></table>'
    yield "<h2>Policies</h2>"
    yield from _policies(report)
    yield "<h2>What the figures say, and what they do not</h2>"
    yield f'<ul class="note">{"".join(f"<li>{escape(text)}</li>" for text in (*NOTES, *report.caveats))}</ul>'
    yield "</body>\n</html>"


def _section(section: Section, prefix: str) -> Iterator[str]:
    if section.title:
        yield f"<h2>{escape(section.title)}</h2>"
    for table in tables(section.comparison):
        yield from _table(table)
    for name, draw in plots.DRAWINGS.items():
        drawing = plots.inline_svg(draw, section.comparison, f"{prefix}-{name}")
        yield f"<figure>\n{_named(drawing, _CAPTIONS[name])}"
        yield f"<figcaption>{escape(_CAPTIONS[name])}</figcaption>\n</figure>"
    if section.checks:
        yield "<h3>Rules of the harness</h3>"
        yield f'<table class="checks"><tbody>{"".join(map(_check, section.checks))}</tbody></table>'


def _named(drawing: str, caption: str) -> str:
    """The drawing with a name for those who cannot see it."""
    return drawing.replace("<svg", f'<svg role="img" aria-label="{escape(caption)}"', 1)


def _table(table: Table) -> Iterator[str]:
    yield f"<h3>{escape(table.title)}</h3>"
    headings = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in table.headings)
    yield f'<div class="scroll"><table>\n<thead><tr>{headings}</tr></thead>\n<tbody>'
    for title, lines in table.groups:
        yield f'<tr><th colspan="{len(table.headings)}" scope="rowgroup">{escape(title)}</th></tr>'
        for line in lines:
            yield f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>"
    yield "</tbody></table></div>"


def _check(check: Check) -> str:
    look = {True: "held", False: "broken", None: "open"}[check.held]
    detail = f" ({escape(check.detail)})" if check.detail else ""
    return f'<tr><td class="{look}">{check.verdict}</td><td>{escape(check.rule)}{detail}</td></tr>'


def _policies(report: Report) -> Iterator[str]:
    known = {entry.policy: entry for section in report.sections for entry in section.comparison.entries}
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(entry.reference)}</td></tr>" for name, entry in known.items()
    )
    yield f'<table class="facts"><tbody>{rows}</tbody></table>'
