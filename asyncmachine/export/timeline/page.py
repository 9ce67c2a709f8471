"""The interactive page: drawn by Bokeh, with scripts that reduce the drawn data and show details; the data are embedded."""

from __future__ import annotations

import html
import json
from importlib import resources
from string import Template
from typing import TYPE_CHECKING, Any

from asyncmachine.export.errors import MissingExtraError

if TYPE_CHECKING:
    from asyncmachine.export.timeline.data import TimelineData

ROW, FLOW_ROW, AXIS, HEAD, DETAILS = 18, 34, 34, 40, 216
"""Heights in CSS pixels, as in page.js."""
_MOST_ROWS = 48
_HINT = (
    "Scroll to zoom, drag to pan, hover to read. Click a mark or a bar for its details, its cause and its "
    "effects; click a name to expand or collapse it. Orange with a triangle: refused, or an error."
)


def page_height(data: TimelineData) -> int:
    """Return the height of a page for the initially visible lanes, in CSS pixels."""
    lanes = data.header["lanes"]
    seen = [True] * len(lanes)
    for number, (parent, *_) in enumerate(lanes):
        seen[number] = parent < 0 or (seen[parent] and bool(lanes[parent][5]))
    row = FLOW_ROW if data.header["flow"] else ROW
    return HEAD + AXIS + row * min(max(sum(seen), 3), _MOST_ROWS) + DETAILS


def page(data: TimelineData, title: str, axis: str) -> str:
    """Return the complete, self-contained page; deterministic.

    Args:
        data: The data.
        title: Its title, plain text.
        axis: The initial axis, "time" or "order".

    Raises:
        MissingExtraError: Bokeh is not installed.
    """
    item, bokeh = _plot()
    assets = resources.files(__package__)
    script = "".join(assets.joinpath(name).read_text("utf-8") for name in ("timeline.js", "page.js"))
    return Template(assets.joinpath("page.html").read_text("utf-8")).substitute(
        title=html.escape(title),
        style=assets.joinpath("page.css").read_text("utf-8"),
        bokeh=bokeh,
        axis=axis,
        hint=_HINT,
        data=data.packed(),
        script=script,
        item=json.dumps(item, separators=(",", ":")).replace("<", "\\u003c"),
    )


def _plot() -> tuple[dict[str, Any], str]:
    """Return the empty plot as Bokeh's JSON, and Bokeh's script."""
    try:
        from bokeh.core.types import ID
        from bokeh.embed import json_item
        from bokeh.models import CustomJS, CustomJSTickFormatter, FixedTicker, Range1d
        from bokeh.plotting import figure
        from bokeh.resources import Resources
    except ImportError:
        raise MissingExtraError("the timeline", "bokeh", "timeline") from None
    plot: Any = figure(
        name="plot", x_range=Range1d(start=0, end=1), y_range=Range1d(start=1, end=0), frame_height=300,
        sizing_mode="stretch_width", x_axis_location="above", y_axis_location=None, tools="xpan,xwheel_zoom",
        active_drag="xpan", active_scroll="xwheel_zoom", toolbar_location=None, min_border_left=0, min_border_right=14,
        min_border_bottom=0, min_border_top=AXIS, outline_line_color=None, lod_threshold=None, styles={"outline": "none"},
    )  # fmt: skip
    plot.grid.grid_line_color = "#e3e8ed"
    plot.ygrid.grid_line_color = None
    plot.xaxis.ticker = FixedTicker(ticks=[], name="ticks")
    plot.xaxis.formatter = CustomJSTickFormatter(code="return page.labels(ticks)[index]")
    plot.xaxis.axis_line_color = plot.xaxis.major_tick_line_color = "#8896a3"
    plot.xaxis.minor_tick_line_color = None
    plot.xaxis.major_label_text_font_size = "11px"
    _add_glyphs(plot)
    for name in ("start", "end"):
        plot.x_range.js_on_change(name, CustomJS(code="page.changed()"))
    for event, function in (("tap", "tap"), ("mousemove", "move"), ("mouseleave", "leave")):
        plot.js_on_event(event, CustomJS(code=f"page.{function}(cb_obj)"))
    item = renumber_models(dict(json_item(plot, ID("plot"))))
    return item, "\n".join(Resources(mode="inline", components=["bokeh"]).js_raw).replace("</script", "<\\/script")


def _add_glyphs(plot: Any) -> None:
    """Add the data sources that page.js fills, found by name."""
    from bokeh.models import ColumnDataSource

    def source(name: str, columns: str) -> ColumnDataSource:
        return ColumnDataSource({column: [] for column in columns.split()}, name=name)

    boxes = "left right top bottom color"
    box = {"left": "left", "right": "right", "top": "top", "bottom": "bottom", "fill_color": "color"}
    plot.quad(**box, line_color=None, source=source("stripes", boxes), level="underlay")
    plot.quad(**box, line_color="color", line_width=1, source=source("bars", boxes))
    ticks = source("marks", "x y0 y1 color width")
    plot.segment("x", "y0", "x", "y1", line_color="color", line_width="width", source=ticks)
    links = source("links", "x0 y0 x1 y1 color")
    plot.segment("x0", "y0", "x1", "y1", line_color="color", line_width=1.5, source=links)
    dots = source("dots", "x y color")
    plot.scatter("x", "y", size=12, fill_color="color", line_color="#ffffff", line_width=1.5, source=dots)
    plot.scatter("x", "y", marker="inverted_triangle", size=7, color="#D55E00", source=source("bad", "x y"))
    ring = {"fill_color": None, "line_color": "#111111", "line_width": 2}
    plot.scatter("x", "y", size=14, **ring, source=source("chosen", "x y"))


def renumber_models(item: dict[str, Any]) -> dict[str, Any]:
    """Number the models of a plot anew: Bokeh goes on counting within a process.

    Args:
        item: What Bokeh's `json_item` gives.
    """
    numbers: dict[str, str] = {}

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: name(part) if key in ("id", "root_id") else walk(part) for key, part in value.items()}
        return [walk(part) for part in value] if isinstance(value, list | tuple) else value

    def name(found: Any) -> Any:
        return numbers.setdefault(found, f"m{len(numbers)}") if isinstance(found, str) else walk(found)

    item = walk(item)
    item["doc"]["title"] = ""
    return item
