"""Figure of the ratios to the base: a heat map over hosts and messages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import seaborn as sns  # type: ignore[import-untyped] # ships no types

from pubsub_sim.report.quantities import HEADLINE, QUANTITIES
from pubsub_sim.report.ratios import per_cell, version_pairs
from pubsub_sim.report.show import Picture, Prose
from pubsub_sim.report.style import drawing, panels, picture
from pubsub_sim.report.wording import NOTHING, code, listing, ratio_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

    from pubsub_sim.report.sweep import Sweep

_LEAST_SPAN = math.log(1.25)
"""The colours reach at least 1.25 times, so that noise does not look like a finding."""


def ratio(sweep: Sweep) -> Picture | Prose:
    """Draw the ratio of each other version to the base, cell by cell, for the quantities of the headline.

    Args:
        sweep: the runs.

    Returns:
        The figure, or a sentence if there is nothing to compare.
    """
    maps = [(version, name, _values(sweep, version, name)) for version in sweep.others for name in HEADLINE]
    known = [entry for entry in maps if not np.isnan(entry[2]).all()]
    if not known:
        return Prose("There is no pair of runs of two versions, so there is no map of ratios.")
    span = max(_LEAST_SPAN, *(float(np.nanmax(np.abs(values))) for _, _, values in known))
    with drawing():
        figure, axes = panels(len(known), 0.9 + 0.32 * max(len(sweep.messages), 2), columns=2)
        for panel, (version, name, values) in zip(axes, known, strict=True):
            _map(panel, sweep, values, span)
            title = QUANTITIES[name].title.replace("`", "")
            panel.set_title(title if len(sweep.others) == 1 else f"{version}: {title}")
        caption = (
            f"{listing(map(code, sweep.others))} / {code(sweep.base)}, median of the pairs of each cell. Orange: takes more "
            "than the base; purple: less."
        )
        return picture(figure, "ratio", caption)


def _values(sweep: Sweep, version: str, name: str) -> NDArray[np.float64]:
    values = np.full((len(sweep.messages), len(sweep.hosts)), np.nan)
    for cell in per_cell(version_pairs(sweep, version, QUANTITIES[name])):
        at = sweep.messages.index(cell.messages), sweep.hosts.index(cell.hosts)
        values[at] = math.log(cell.ratio.value)
    return values


def _map(panel: Axes, sweep: Sweep, values: NDArray[np.float64], span: float) -> None:
    sns.heatmap(
        values,
        ax=panel,
        vmin=-span,
        vmax=span,
        cmap="PuOr_r",
        cbar=False,
        linewidths=1.5,
        xticklabels=[f"{value:,}" for value in sweep.hosts],
        yticklabels=[f"{value:,}" for value in sweep.messages],
    )
    panel.invert_yaxis()
    panel.grid(visible=False)
    panel.set_facecolor("#eeeeee")
    panel.tick_params(length=0)
    panel.tick_params(axis="y", rotation=0)
    panel.set_xlabel("hosts")
    panel.set_ylabel("messages")
    for (row, column), value in np.ndenumerate(values):
        text = NOTHING if math.isnan(value) else ratio_of(math.exp(value))
        dark = not math.isnan(value) and abs(value) > 0.65 * span
        panel.text(column + 0.5, row + 0.5, text, ha="center", va="center", color="white" if dark else "#222222")
