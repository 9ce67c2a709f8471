"""The style of every figure: colours and sizes. The SVG is the same bytes each time."""

from __future__ import annotations

import gc
import io
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from pubsub_sim.report.display import Picture
from pubsub_sim.report.minify_svg import minify_svg

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes

WIDTH = 7.2
"""Width of every figure in inches: a page's text, and a column on a screen."""

COLUMNS = 4
"""Small multiples side by side."""

# Okabe and Ito, "Color universal design" (2008): told apart with every kind of colour vision.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = ("o", "s", "^", "D", "v", "P")
_DASHES = ("-", "--", "-.", ":", "-", "--")

PHASE_COLOURS = ("#999999", "#56B4E9", "#0072B2", "#F0E442", "#CC79A7", "#009E73", "#E69F00", "#D55E00")
"""One colour per phase, in their order."""

_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.edgecolor": "#444444",
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.labelsize": 8,
    "axes.linewidth": 0.7,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 8.5,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.6,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "svg.fonttype": "path",
    "svg.hashsalt": "pubsub-sim",
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
}


def choose_look(number: int) -> dict[str, Any]:
    """Give colour, marker and dashes of the version of a number."""
    at = number % len(_COLOURS)
    size = max(6.0 - 1.5 * number, 3.0)  # the first is seen behind the others where they are equal
    return {"color": _COLOURS[at], "marker": _MARKERS[at], "linestyle": _DASHES[at], "markersize": size}


@contextmanager
def drawing() -> Iterator[None]:
    """Draw in the report's style, whatever the style of the notebook or of the machine is.

    No garbage is collected meanwhile: a figure makes very many objects that all stay until it is drawn.
    """
    with mpl.rc_context(), _without_collections():
        mpl.rcdefaults()
        for name, value in _STYLE.items():
            mpl.rcParams[name] = value
        yield


@contextmanager
def _without_collections() -> Iterator[None]:
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def count_rows(amount: int, columns: int = COLUMNS) -> int:
    """Count the rows of so many small multiples."""
    return -(-max(amount, 1) // min(max(amount, 1), columns))


def pick_evenly(values: Sequence[int], most: int) -> list[int]:
    """Choose at most so many values for a figure, evenly, with the first and the last."""
    if len(values) <= most:
        return list(values)
    return [values[round(number * (len(values) - 1) / (most - 1))] for number in range(most)]


def make_panels(amount: int, height: float, *, columns: int = COLUMNS) -> tuple[Figure, list[Axes]]:
    """Make small multiples.

    Args:
        amount: how many.
        height: of one row, in inches.
        columns: how many at most side by side.

    Returns:
        The figure and its axes, row by row.
    """
    across = min(max(amount, 1), columns)
    down = count_rows(amount, columns)
    width = WIDTH if across > 1 else WIDTH * 0.6
    figure = Figure(figsize=(width, height * down), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False)
    axes: Sequence[Axes] = list(grid.flat)
    for spare in axes[amount:]:
        spare.set_axis_off()
    return figure, list(axes[:amount])


def render(figure: Figure, name: str, caption: str) -> Picture:
    """Turn a drawing into SVG that is the same for the same data: no date, fixed ids, text as outlines.

    Must be called inside `drawing`.
    """
    out = io.StringIO()
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    # `savefig` would draw all of it once more, for the layout
    FigureCanvasSVG(figure).print_svg(out, metadata=nothing)  # type: ignore[no-untyped-call]
    return Picture(name, caption, minify_svg(out.getvalue()))
