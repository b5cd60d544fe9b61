"""Names beside the markers of a drawing, each where it hides least.

What must hold: no name lies on another while there is room; a name further off has a line to its marker.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

_INK = "#30343b"
_GREY = "#9aa0a6"
_PAPER: Any = {"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.4}
_POINTS = 72  # in an inch
_MARKER = 7.2  # its edge with some air, in points
_RINGS = (0, 12, 24, 36, 50, 66, 84, 104)  # between a marker and its name, in points
_ANGLES = (40, -40, 140, -140, 90, -90)


def name_spots(
    figure: Figure, axes: Axes, spots: Mapping[str, tuple[float, float]], lines: Sequence[Sequence[tuple[float, float]]]
) -> list[Bbox]:
    """Write each name beside its spot: off other names first of all, then off markers and lines.

    Args:
        figure: With everything else drawn; its layout stays as it is from now on.
        axes: That the spots are on, in its data's units.
        spots: By name.
        lines: Corners of steps and bars that names should not cross.

    Returns:
        The names' boxes, in pixels.
    """
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # what is placed now stays there
    pixel, scale = partial(_pixel, axes), figure.dpi / _POINTS
    edge = _MARKER * scale
    ink = [Bbox.from_bounds(x - edge / 2, y - edge / 2, edge, edge) for x, y in map(pixel, spots.values())]
    for line in lines:
        for (x0, y0), (x1, y1) in pairwise(map(pixel, line)):
            ink.append(Bbox.from_extents(x0, y0 - 1, x1, y0 + 1))
            ink.append(Bbox.from_extents(x1 - 1, min(y0, y1), x1 + 1, max(y0, y1)))
    placed: list[Bbox] = []
    for name, spot in spots.items():
        label = axes.annotate(
            name, spot, (0, 0), textcoords="offset points", fontsize=8, color=_INK, zorder=6, bbox=_PAPER
        )
        size, at = label.get_window_extent(), pixel(spot)
        options = [(_beside(at, size, ring * scale, angle, scale), ring) for ring in _RINGS for angle in _ANGLES]
        box, ring = min(options, key=lambda option: _hidden(option[0], placed, ink, axes.bbox))
        placed.append(box)
        label.set_position(((box.x0 - at[0]) / scale, (box.y0 - at[1]) / scale))
        if ring > _RINGS[0]:
            x, y = min(max(at[0], box.x0), box.x1), box.y0 if box.y0 > at[1] else box.y1
            axes.annotate(
                "",
                spot,
                ((x - at[0]) / scale, (y - at[1]) / scale),
                textcoords="offset points",
                arrowprops={"arrowstyle": "-", "color": _GREY, "linewidth": 0.6, "shrinkA": 0},
                zorder=1,
            )
    return placed


def _pixel(axes: Axes, spot: tuple[float, float]) -> tuple[float, float]:
    x, y = axes.transData.transform(spot)
    return float(x), float(y)


def _beside(spot: tuple[float, float], size: Any, distance: float, angle: int, scale: float) -> Bbox:
    """A box of the size, so many pixels from the spot's marker, in a direction."""
    reach = 8 * scale + distance
    x = spot[0] + reach * math.cos(math.radians(angle))
    y = spot[1] + reach * math.sin(math.radians(angle))
    left = x - size.width / 2 if abs(angle) == 90 else x if abs(angle) < 90 else x - size.width
    return Bbox.from_bounds(left, y - size.height / 2, size.width, size.height)


def _hidden(box: Bbox, names: Sequence[Bbox], ink: Sequence[Bbox], frame: Any) -> tuple[bool, int, int]:
    outside = box.x0 < frame.x0 or box.x1 > frame.x1 or box.y0 < frame.y0 or box.y1 > frame.y1
    return outside, sum(box.overlaps(name) for name in names), sum(box.overlaps(one) for one in ink)
