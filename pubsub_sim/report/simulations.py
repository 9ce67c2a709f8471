"""What a sweep of simulations shows: the account of each run, figures over time and estimates over its seeds."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from pubsub_sim.packages import explain_missing
from pubsub_sim.report.display import Absent, Picture, Prose, Table
from pubsub_sim.report.formatting import format_estimate
from pubsub_sim.results.errors import NoRunsError
from pubsub_sim.results.intervals import LEVEL, RESAMPLES, median
from pubsub_sim.results.simulations import SimulationStore

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from pubsub_sim.results.simulations import SimulationRecord

_BINS = 100  # points of a line
_SEED = 1
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "path",
    "svg.hashsalt": "pubsub_sim",
    "font.family": "DejaVu Sans",
    "font.size": 8,
}
_NOT_VARIED = ("version", "seed")

Cell = tuple[tuple[str, Any], ...]
"""Options that differ within the sweep, and their values."""

ESTIMATED = {
    "delivered (%)": "of the owed deliveries, without those whose peer left or that the end of the run cut off",
    "latency (ms)": "of deliveries, the mean",
    "hops": "links that a delivery came over, the mean",
    "copies per delivery": "of messages that nodes received",
    "CPU (s)": "processor time of the run",
}
"""What is estimated over the seeds, and what it is."""


@dataclass(frozen=True)
class Simulations:
    """Stored runs of a sweep, in the order of its grid.

    Attributes:
        store: where they are.
        records: those that are there.
    """

    store: SimulationStore
    records: tuple[SimulationRecord, ...]

    @classmethod
    def load(cls, folder: Path, names: Sequence[str]) -> Self:
        """Read the runs of these names, as far as they are there.

        Raises:
            NoRunsError: none is.
            ResultsError: one cannot be read.
        """
        store = SimulationStore(folder)
        found = tuple(record for record in map(store.read, names) if record is not None)
        if not found:
            raise NoRunsError(folder)
        return cls(store, found)

    @property
    def versions(self) -> list[str]:
        """Control flows, in the order of the sweep."""
        return list(dict.fromkeys(record.options["version"] for record in self.records))

    @property
    def varied(self) -> list[str]:
        """Options with several values in the sweep, beside version and seed."""
        names = [name for name in self.records[0].options if name not in _NOT_VARIED]
        return [name for name in names if len({record.options[name] for record in self.records}) > 1]

    def cell_of(self, record: SimulationRecord) -> Cell:
        """The cell of the grid that a run belongs to."""
        return tuple((name, record.options[name]) for name in self.varied)

    @property
    def cells(self) -> list[Cell]:
        """The cells in the order of the sweep."""
        return list(dict.fromkeys(map(self.cell_of, self.records)))

    def of(self, version: str, cell: Cell) -> list[SimulationRecord]:
        """The runs of a version and cell that succeeded, one per seed."""
        return [
            record
            for record in self.records
            if record.outcome == "ok" and record.options["version"] == version and self.cell_of(record) == cell
        ]

    def networks(self) -> dict[str, list[dict[str, Any]]]:
        """The stored networks of the first run of each version that succeeded."""
        first: dict[str, str] = {}
        for record in self.records:
            if record.outcome == "ok":
                first.setdefault(record.options["version"], record.name)
        return {version: self.store.network(name) for version, name in first.items()}

    def digest_of(self, name: str) -> str:
        """The digest of a run; "" if it has none."""
        return next((record.row["digest"] or "" for record in self.records if record.name == name), "")

    # --- tables --------------------------------------------------------------------------------------------------

    def describe(self) -> Prose:
        """Say how many runs there are, how they ended, and whether the versions decided the same."""
        failed = sum(record.outcome != "ok" for record in self.records)
        text = f"{len(self.records)} runs, {failed or 'none'} of them failed."
        digests: dict[Any, set[Any]] = {}
        for record in self.records:
            if record.outcome == "ok":
                digests.setdefault((self.cell_of(record), record.options["seed"]), set()).add(record.row["digest"])
        if len(self.versions) > 1 and digests:
            differing = sum(len(found) > 1 for found in digests.values())
            if differing:
                text += f" **In {differing} of {len(digests)} runs the versions decided differently.**"
            else:
                text += " With each seed all versions decided the same at the same moments: their digests are equal."
        return Prose(text)

    def account(self) -> Table:
        """The account of each run."""
        columns = ["version", *self.varied, "seed", "messages", "owed", "delivered", "missed", "adds up", "digest"]
        rows = []
        for record in self.records:
            row, ok = record.row, record.row["owed"] is not None
            counts = [f"{row[name]:,}" if ok else "" for name in ("sent", "owed", "delivered", "missed")]
            ends = ["yes" if row["adds_up"] else "no", f"`{row['digest'][:12]}`"] if ok else ["", record.outcome]
            options = [str(record.options[name]) for name in ("version", *self.varied, "seed")]
            rows.append([f"`{options[0]}`", *options[1:], *counts, *ends])
        return Table(columns, rows)

    def reasons(self) -> Prose | Table:
        """Why deliveries were missed, over all seeds."""
        names = [name for name in self.records[0].row if name.startswith("missed_")]
        rows = []
        for version in self.versions:
            for cell in self.cells:
                own = self.of(version, cell)
                counts = [sum(record.row[name] for record in own) for name in names]
                rows.append([f"`{version}`", *[str(value) for _, value in cell], *[f"{count:,}" for count in counts]])
        return Table(
            ["version", *self.varied, *[name.removeprefix("missed_").replace("_", " ") for name in names]], rows
        )

    def failures(self) -> Prose | Table:
        """Runs that failed, and why."""
        failed = [record for record in self.records if record.outcome != "ok"]
        if not failed:
            return Absent("No run failed.")
        rows = [[f"`{one.options['version']}`", str(one.options["seed"]), one.outcome, one.error] for one in failed]
        return Table(["version", "seed", "outcome", "error"], rows, words=4)

    def estimates(self) -> Prose | Table:
        """Medians over the seeds with their intervals, a row per version and cell."""
        rows = []
        for version in self.versions:
            for cell in self.cells:
                own = self.of(version, cell)
                if not own:
                    continue
                found = [_estimate(values) for values in zip(*map(self._measured, own), strict=True)]
                rows.append([f"`{version}`", *[str(value) for _, value in cell], str(len(own)), *found])
        if not rows:
            return Absent("No run succeeded.")
        return Table(["version", *self.varied, "seeds", *ESTIMATED], rows)

    def _measured(self, record: SimulationRecord) -> tuple[float, ...]:
        row, last = record.row, self.store.series(record.name).iloc[-1]
        due = row["owed"] - row["missed_left"] - row["missed_under_way"]
        means = [last[f"{name}_so_far"] for name in ("latency_ms", "hops", "copies_per_delivery")]
        share = 100 * row["delivered"] / due if due else np.nan
        return (share, *(np.nan if value is None else float(value) for value in means), row["cpu_ns"] / 1e9)

    # --- figures -------------------------------------------------------------------------------------------------

    def over_time(self, name: str, *columns: str) -> Prose | Picture:
        """Draw columns of the series over time, the versions side by side: means over the seeds with their intervals.

        Args:
            name: of the picture.
            columns: a row of panels for each.
        """
        with explain_missing("the figures of simulations"):
            import matplotlib as mpl
            from matplotlib.figure import Figure
        lines = {key: own for key in self._keys() if (own := self.of(*key))}
        if not lines:
            return Absent("No run succeeded.")
        with mpl.rc_context(_STYLE):
            figure = Figure(figsize=(3.6 * len(self.versions), len(columns) + 0.5), layout="constrained")
            axes = figure.subplots(len(columns), len(self.versions), sharex=True, sharey="row", squeeze=False)
            for (version, cell), own in lines.items():
                frames = [self.store.series(record.name) for record in own]
                for column, axis in zip(columns, axes[:, self.versions.index(version)], strict=True):
                    self._draw(axis, frames, column, cell)
            for axis, version in zip(axes[0], self.versions, strict=True):
                axis.set_title(version)
            for axis, column in zip(axes[:, 0], columns, strict=True):
                axis.set_ylabel(column.replace("_", "\n"))
            for axis in axes[-1]:
                axis.set_xlabel("simulated time (s)")
            if self.varied:
                axes[0, 0].legend(frameon=False)
            out = io.StringIO()
            figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
        return Picture(name, self._caption(columns), out.getvalue())

    def _keys(self) -> list[tuple[str, Cell]]:
        return [(version, cell) for version in self.versions for cell in self.cells]

    def _draw(self, axis: Any, frames: Sequence[Any], column: str, cell: Cell) -> None:
        times, values = _binned(frames, column)
        mean, low, high = _interval(values)
        colour = f"C{self.cells.index(cell)}"
        label = ", ".join(f"{name} {value}" for name, value in cell)
        axis.plot(times, mean, color=colour, lw=1.2, label=label)
        axis.fill_between(times, low, high, color=colour, alpha=0.25, lw=0)

    def _caption(self, columns: Sequence[str]) -> str:
        seeds = max(len(self.of(*key)) for key in self._keys())
        shown = ", ".join(column.replace("_", " ") for column in columns)
        several = f"means over {seeds} seeds with {LEVEL} % bootstrap intervals" if seeds > 1 else "of one seed"
        return f"Over time, {several}: {shown}."


def _estimate(values: Sequence[float]) -> str:
    found = median(np.array(values, dtype=float))
    return format_estimate(found) if found.is_known else ""


def _binned(frames: Sequence[Any], column: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of a column over short stretches of time: their middles, and a row per frame; NaN where nothing was measured."""
    end = max(float(frame["time_s"].iloc[-1]) for frame in frames)
    width = max(1.0, np.ceil(end / _BINS))
    count = int(end // width) + 1
    values = np.full((len(frames), count), np.nan)
    for number, frame in enumerate(frames):
        known = frame[["time_s", column]].astype(float).dropna()
        at = (known["time_s"].to_numpy() // width).astype(int)
        amounts = np.bincount(at, minlength=count)
        sums = np.bincount(at, weights=known[column].to_numpy(), minlength=count)
        values[number, amounts > 0] = (sums[amounts > 0]) / amounts[amounts > 0]
    return (np.arange(count) + 0.5) * width, values


def _interval(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """The mean over rows with its bootstrap interval; rows are drawn whole, as each is a run."""
    draws = np.random.default_rng(_SEED).integers(0, len(values), (RESAMPLES // 4, len(values)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # stretches of which no run, or no drawn one, knows anything
        mean = np.nanmean(values, axis=0)
        means = np.nanmean(values[draws], axis=1)
        low, high = np.nanpercentile(means, ((100 - LEVEL) / 2, (100 + LEVEL) / 2), axis=0)
    return mean, low, high
