"""What a bench leaves beside its trials: the table, the same as JSON, and drawings, made anew after each run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from frugal.bench import plots, tables
from frugal.bench.comparison import Comparison
from frugal.bench.records import Phase


def write(comparisons: Sequence[Comparison], folder: Path) -> list[Path]:
    """Write ``results.md``, ``results.json`` and, as PNG and SVG, savings and Pareto front of each phase there is.

    Args:
        comparisons: All cases, baselines included.
        folder: That exists.

    Returns:
        What was written.
    """
    table, values = folder / "results.md", folder / "results.json"
    table.write_text(tables.render(comparisons, markdown=True) + "\n", encoding="utf-8")
    values.write_text(as_json(comparisons) + "\n", encoding="utf-8")
    written = [table, values]
    notes = ", ".join(sorted({name for entry in comparisons if (name := entry.measured_by or entry.estimated_by)}))
    for phase in Phase:
        bars, points = plots.bars_of(comparisons, phase), plots.points_of(comparisons, phase)
        if bars:
            title = f"Energy saved in {phase.value}"
            written += plots.draw_savings(bars, folder / f"savings-{phase.value}", title=title, footnote=notes)
        if len(points) > 1:
            title, stem = f"Accuracy and energy of {phase.value}", folder / f"pareto-{phase.value}"
            written += plots.draw_pareto(points, stem, title=title, phase=phase, footnote=notes)
    return written


def as_json(comparisons: Sequence[Comparison]) -> str:
    """A list with an object for each case and phase, on one line."""
    return json.dumps([asdict(comparison) for comparison in comparisons])
