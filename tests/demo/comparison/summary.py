"""The comparison for people: a table, where the jobs ran, and what the figures are worth.

Pure: from the two arms to text.
"""

from __future__ import annotations

from collections.abc import Callable

from rich.table import Table
from rich.text import Text

from tests.demo.comparison.result import Arm, Comparison
from tests.demo.comparison.workloads import MAX_SLOWDOWN_PERCENT, WORKLOADS


def table(comparison: Comparison) -> Table:
    """A row for each figure, a column for each arm."""
    arms = comparison.plain, comparison.ballast
    grid = Table(box=None, pad_edge=False, header_style="dim")
    grid.add_column("TEN JOBS, THE SAME WORK", no_wrap=True)
    for heading in (*(arm.name.upper() for arm in arms), "CHANGE"):
        grid.add_column(heading, no_wrap=True, justify="right")

    def row(name: str, value: Callable[[Arm], float], unit: str) -> None:
        plain, ballast = (value(arm) for arm in arms)
        change = 100 * (ballast / plain - 1)
        grid.add_row(name, f"{plain:.1f} {unit}", f"{ballast:.1f} {unit}", f"{change:+.1f} %")

    row("energy above idle", lambda arm: arm.active_joules / 1000, "kJ")
    row("energy in all", lambda arm: comparison.total_joules(arm) / 1000, "kJ")
    row("until the last job was done", lambda arm: arm.makespan_seconds, "s")
    row("mean time from submission to end", lambda arm: arm.mean_completion_seconds, "s")
    for workload in WORKLOADS:
        grid.add_row(f"where {workload.name} ran", *(_where(arm, workload.name) for arm in arms), "")
    return grid


def _where(arm: Arm, workload: str) -> str:
    return ", ".join(f"{count} on {model}" for model, count in arm.models(workload).items()) or "nowhere"


def lines(comparison: Comparison, *, measured: bool) -> list[Text]:
    """What the figures are, and what they are worth.

    Args:
        comparison: whose they are.
        measured: whether the boards replay Zeus' points, or follow a fit to them.
    """
    physics = "replay what Zeus measured of these two workloads" if measured else "follow a fit to what Zeus measured"
    unfair = [
        f"{arm.name}: {arm.active_joules / 1000:.1f} kJ is less than any board takes for this work"
        f" ({arm.least_joules / 1000:.1f} kJ): this machine is too busy to compare them."
        for arm in (comparison.plain, comparison.ballast)
        if not arm.is_fair
    ]
    return [
        *(Text(text, style="bold yellow") for text in unfair),
        Text(
            "Energy is the boards' own counters' (NVML); in all: with every board's idle watts for as long as the"
            " slower of the two took."
        ),
        Text(
            f"Jobs may take {MAX_SLOWDOWN_PERCENT} % longer. Ballast knew both workloads from earlier runs: their"
            " EnergyProfiles were given before."
        ),
        Text(
            f"These boards are simulated: their power and speed {physics} on V100 and A40; nothing here was measured"
            " on a GPU.",
            style="yellow",
        ),
    ]
