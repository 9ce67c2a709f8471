"""A static picture of a timeline, for documents, untrusted notebooks and print."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from asyncmachine.export.errors import MissingExtraError
from asyncmachine.export.timeline.data import timeline_data
from asyncmachine.export.timeline.events import STEP, Kind
from asyncmachine.export.timeline.shown import checked_flow, titles_of, usual_axis

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from asyncmachine.export.timeline.data import TimelineData
    from asyncmachine.export.timeline.shown import Axis
    from asyncmachine.record import Record

COLOURS = ("#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#7B5EA7", "#8C6D31", "#3D8B8B")
"""Colours of states by number, and of points by name; as in page.js."""
BAD, INK, LIFE, SPAN = "#D55E00", "#22303c", "#dbe1e7", "#9db2c6"
_WIDTH, _ROW, _FLOW_ROW, _NAMES = 7.2, 0.155, 0.28, 2.1  # inches
_MOST_ROWS = 70
_PIXELS = 900  # resolution at which bars are merged
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7,
    "svg.fonttype": "path",
    "svg.hashsalt": "asyncmachine",
    "figure.facecolor": "white",
}


@dataclass(frozen=True, eq=False)
class StillPicture:
    """A picture with a caption.

    Attributes:
        figure: The matplotlib figure.
        name: A name for a file, without ending.
        caption: A description of one or two sentences.
    """

    figure: Figure
    name: str
    caption: str

    def svg(self) -> str:
        """Return it as SVG; deterministic."""
        import matplotlib as mpl

        out = io.StringIO()
        with mpl.rc_context(_STYLE):
            self.figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
        return out.getvalue()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, str]]:
        return {"image/svg+xml": self.svg(), "text/plain": self.caption}, {
            "filename": self.name,
            "caption": self.caption,
        }


class _Seen(NamedTuple):
    """A visible lane, its depth in the tree and its row."""

    lane: int
    depth: int
    row: int


def timeline_figure(
    *records: Record, titles: Sequence[str] = (), axis: Axis | None = None, name: str = "timeline"
) -> StillPicture:
    """Draw the initially visible lanes of a timeline.

    Args:
        records: One or more, drawn one above the other.
        titles: A title for each; by default the names of their files.
        axis: As for `timeline`.
        name: Of the picture.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    shown = titles_of(records, titles)
    axis = axis or usual_axis(records)
    caption = (
        f"{' and '.join(shown)}: what was active when. {_about(axis)} Orange triangles: refused mutations and errors."
    )
    return StillPicture(_drawn(timeline_data(records, shown), axis), name, caption)


def message_figure(
    *records: Record, flow: str, titles: Sequence[str] = (), axis: Axis | None = None, name: str = "message-path"
) -> StillPicture:
    """Draw the path of one message: the points of its flow and their order.

    Raises:
        MissingExtraError: matplotlib is not installed.
        UnknownFlowError: A record has no such flow.
    """
    shown = titles_of(records, titles)
    axis = axis or usual_axis(records)
    caption = f"The path of one message. {_about(axis)} A line leads from each point to the one that followed it."
    return StillPicture(_drawn(checked_flow(records, shown, flow), axis), name, caption)


def _about(axis: Axis) -> str:
    return "Each event takes one step; the numbers are the time there." if axis == "order" else "In seconds of the run."


def _drawn(data: TimelineData, axis: Axis) -> Figure:
    try:
        import matplotlib as mpl
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtraError("the picture of a timeline", "matplotlib", "timeline") from None
    times, places = data.columns["event_time"], data.columns["event_place"]
    xs = [time / 1e9 for time in times] if axis == "time" else [place / STEP for place in places]
    in_sight = list(_in_sight(data))
    seen = in_sight[:_MOST_ROWS]
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        is_flow, is_cut = bool(data.header["flow"]), len(in_sight) > len(seen)
        below, row = (0.25, _FLOW_ROW) if is_flow else (0.2 if is_cut else 0.0, _ROW)
        height = row * len(seen) + 0.35 + below

        figure = Figure(figsize=(_WIDTH, height))
        FigureCanvasSVG(figure)
        box = (_NAMES / _WIDTH, below / height, 1 - (_NAMES + 0.12) / _WIDTH, row * len(seen) / height)
        axes = figure.add_axes(box)
        _draw_lanes(axes, data, xs, seen)
        if is_flow:
            _draw_flow(axes, data, xs, seen)
        _draw_axis(axes, data, xs, axis)
        if is_cut:
            axes.set_xlabel(f"{len(in_sight) - len(seen)} more lanes are not shown")
    return figure


def _in_sight(data: TimelineData) -> Iterator[_Seen]:
    depths: dict[int, int] = {-1: -1}
    row = 0
    for number, (parent, *_, is_open) in enumerate(data.header["lanes"]):
        if parent in depths:
            yield _Seen(number, depths[parent] + 1, row)
            row += 1
            if is_open:
                depths[number] = depths[parent] + 1


def _draw_lanes(axes: Axes, data: TimelineData, xs: list[float], seen: list[_Seen]) -> None:
    low, high = min(xs), max(xs)
    margin = (high - low or 1) * 0.015
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(len(seen), 0)
    pixel = (high - low or 1) / _PIXELS
    for lane, depth, row in seen:
        _, kind, label, _, state, _ = data.header["lanes"][lane]
        if row % 2:
            axes.axhspan(row, row + 1, color="#f4f6f8", linewidth=0, zorder=0)
        is_life = kind == "machine" or data.columns["mark_from"][lane] < data.columns["mark_from"][lane + 1]
        colour = COLOURS[state % len(COLOURS)] if kind == "state" else LIFE if is_life else SPAN
        thin = 0.3 if is_life else 0.18
        stretches = [(begin, end - begin) for begin, end in _bars(data, xs, lane, pixel)]
        _draw_boxes(axes, stretches, row + thin, 1 - 2 * thin, colour)
        _draw_marks(axes, data, xs, lane, row, pixel)
        axes.annotate(
            _short(label, depth), (0, row + 0.5), xycoords=("axes fraction", "data"), xytext=(-_NAMES * 72 + 6 + 7 * depth, 0),
            textcoords="offset points", va="center", ha="left", annotation_clip=False,
            weight="bold" if kind in ("machine", "track") else "normal",
        )  # fmt: skip


def _short(label: str, depth: int) -> str:
    room = 34 - 2 * depth
    text = label if len(label) <= room else label[: room - 1] + "…"
    return text.replace("$", r"\$")


def _bars(data: TimelineData, xs: list[float], lane: int, pixel: float) -> list[tuple[float, float]]:
    """Merge bars narrower than a pixel with their neighbours, as timeline.js does."""
    columns, found = data.columns, []
    now: list[float] | None = None
    for bar in range(columns["bar_from"][lane], columns["bar_from"][lane + 1]):
        begin, end = xs[columns["bar_begin"][bar]], xs[columns["bar_end"][bar]]
        if now and begin - now[1] < pixel and (end - begin < pixel or now[1] - now[0] < pixel):
            now[1] = end
        else:
            now = [begin, end]
            found.append(now)
    return [(begin, end) for begin, end in found]


def _draw_marks(axes: Axes, data: TimelineData, xs: list[float], lane: int, row: int, pixel: float) -> None:
    columns, header = data.columns, data.header
    marks: dict[str, list[float]] = {}
    for mark in range(columns["mark_from"][lane], columns["mark_from"][lane + 1]):
        event = columns["mark_event"][mark]
        ref = columns["event_ref"][event]
        if columns["event_kind"][event] == Kind.POINT:
            colour = COLOURS[columns["point_name"][ref] % len(COLOURS)]
        else:
            change = header["changes"][columns["tx_change"][ref]]
            is_good = (change["accepted"] or change["auto"] or change["check"]) and columns["tx_error"][ref] < 0
            colour = INK if is_good else BAD
        marks.setdefault(colour, []).append(xs[event])
    for colour, places in marks.items():
        if header["flow"]:
            axes.scatter(places, [row + 0.5] * len(places), s=26, color=colour, edgecolors="white", zorder=6)
            continue
        _draw_boxes(axes, join_positions(places, 2 * pixel), row + 0.15, 0.7, colour)
        if colour == BAD:
            thinned = [begin for begin, _ in join_positions(places, 8 * pixel)]
            axes.scatter(thinned, [row + 0.2] * len(thinned), marker="v", s=9, color=BAD, linewidths=0, zorder=4)


def _draw_boxes(axes: Axes, stretches: list[tuple[float, float]], bottom: float, height: float, colour: str) -> None:
    """Draw all boxes of a lane as one path with outlines, so that short ones stay visible."""
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    corners: list[tuple[float, float]] = []
    for begin, width in stretches:
        end, top = begin + width, bottom + height
        corners += [(begin, bottom), (end, bottom), (end, top), (begin, top), (begin, bottom)]
    codes = [Path.MOVETO, *[Path.LINETO] * 3, Path.CLOSEPOLY] * len(stretches)
    if corners:
        axes.add_patch(PathPatch(Path(corners, codes), facecolor=colour, edgecolor=colour, linewidth=0.7, zorder=2))


def join_positions(places: list[float], gap: float) -> list[tuple[float, float]]:
    """Join positions closer than a gap into intervals: start and width."""
    runs: list[list[float]] = []
    for place in places:
        if runs and place - runs[-1][1] < gap:
            runs[-1][1] = place
        else:
            runs.append([place, place])
    return [(begin, end - begin) for begin, end in runs]


def _draw_flow(axes: Axes, data: TimelineData, xs: list[float], seen: list[_Seen]) -> None:
    columns = data.columns
    middles: dict[int, float] = {}
    for lane, _, row in seen:
        for mark in range(columns["mark_from"][lane], columns["mark_from"][lane + 1]):
            middles[columns["mark_event"][mark]] = row + 0.5
    for event, middle in middles.items():
        cause = columns["event_cause"][event]
        if cause in middles:
            axes.plot([xs[cause], xs[event]], [middles[cause], middle], color="#111111", linewidth=0.8, zorder=5)
    for number, text in enumerate(data.header["names"]):
        axes.plot([], [], "o", color=COLOURS[number % len(COLOURS)], label=text.replace("_", " ").replace("$", r"\$"))
    axes.legend(
        loc="upper left",
        bbox_to_anchor=(0, 0),
        ncols=5,
        frameon=False,
        fontsize=7,
        borderaxespad=0.2,
        handlelength=1,
        markerscale=0.8,
    )


def _draw_axis(axes: Axes, data: TimelineData, xs: list[float], axis: Axis) -> None:
    """Label round seconds; on an order axis, the changes of time."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.tick_top()
    axes.set_yticks([])
    axes.grid(axis="x", color="#dfe4e9", linewidth=0.5, zorder=1)
    axes.tick_params(length=0, colors="#46545f")
    for side in ("right", "left", "bottom", "top"):
        axes.spines[side].set_visible(False)
    if axis == "time":
        axes.xaxis.set_major_locator(MaxNLocator(6))
        axes.xaxis.set_major_formatter("{x:g} s")
        return
    firsts: dict[int, float] = {}
    for x, time_ns in zip(xs, data.columns["event_time"], strict=True):
        firsts[time_ns] = min(x, firsts.get(time_ns, x))
    ticks: list[tuple[float, int]] = []
    for time_ns, x in sorted(firsts.items()):
        if not ticks or x - ticks[-1][0] > (max(xs) - min(xs)) / 8:
            ticks.append((x, time_ns))
    axes.set_xticks([x for x, _ in ticks], [f"{time_ns / 1e9:.6g} s" for _, time_ns in ticks])
