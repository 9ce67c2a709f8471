"""The network of simulations at a moment that is chosen with a slider: a page that needs no kernel, and a still picture of it.

All networks lie in the page. Bokeh draws them, beside each other for several runs.
"""

from __future__ import annotations

import html
import io
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from asyncmachine.export.timeline.page import renumber_models
from pubsub_sim.packages import explain_missing
from pubsub_sim.simulator.snapshots import NOTHING, links_from

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pubsub_sim.simulator.snapshots import Links, Pair

_LARGEST = "the largest mesh"
_SIZE = 380  # CSS pixels of a network
_OUTSIDE = 1.08  # where names are, in radii
_CONNECTION, _MESH, _PEER = "#c9d1d8", "#0072B2", "#4d5a66"
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "path",
    "svg.hashsalt": "pubsub_sim",
    "font.family": "DejaVu Sans",
    "font.size": 7,
}

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; \
script-src 'unsafe-inline' 'unsafe-eval'">
<title>{title}</title>
<style>body {{ margin: 8px; font-family: sans-serif }}</style>
<script>
{bokeh}
</script>
</head>
<body>
<div id="plot"></div>
<script>
Bokeh.embed.embed_item({item}).then(() => {{ document.body.dataset.ready = "yes"; }});
</script>
</body>
</html>
"""

_SHOW = """
const time = slider.value, wanted = select.value;
for (const run of runs) {
  const at = run.networks.filter((one) => one.time_s <= time).pop() || run.networks[0];
  let topic = wanted;
  if (wanted === largest) {
    topic = Object.keys(at.meshes).sort().reduce((best, name) =>
      best === "" || at.meshes[name].length > at.meshes[best].length ? name : best, "");
  }
  const lines = (pairs) => ({
    x0: pairs.map(([one, _]) => run.x[one]), y0: pairs.map(([one, _]) => run.y[one]),
    x1: pairs.map(([_, other]) => run.x[other]), y1: pairs.map(([_, other]) => run.y[other]),
  });
  run.connections.data = lines(at.connections);
  run.mesh.data = lines(at.meshes[topic] || []);
  run.peers.data = {
    x: at.peers.map((n) => run.x[n]), y: at.peers.map((n) => run.y[n]), name: at.peers.map((n) => run.names[n]),
    outer_x: at.peers.map((n) => outside * run.x[n]), outer_y: at.peers.map((n) => outside * run.y[n]),
  };
  run.title.text = `${run.label}: ${at.time_s.toFixed(0)} s, ${at.peers.length} peers, ${at.connections.length} connections`
    + (topic === "" ? "" : `, mesh of ${topic}`);
}
"""


@dataclass(frozen=True)
class NetworkView:
    """Networks of one or several runs over time, shown in a notebook inside an iframe, and still where scripts do not run.

    Attributes:
        networks: title of a run -> its networks, oldest first.
        moment_s: the moment that is shown at first: the latest network until then.
        topic: whose mesh is shown; "" for the largest.
    """

    networks: Mapping[str, Sequence[Links]]
    moment_s: float = 0.0
    topic: str = ""

    @classmethod
    def of(cls, rows: Mapping[str, Iterable[Mapping[str, Any]]], moment_s: float = 0.0, topic: str = "") -> NetworkView:
        """Make it of the stored rows of each run."""
        return cls({title: links_from(own) for title, own in rows.items()}, moment_s, topic)

    def html(self) -> str:
        """Write the page, whole and self-contained. The same networks give the same text.

        Raises:
            MissingPackageError: Bokeh is not installed.
        """
        with explain_missing("the page of networks"):
            from bokeh.core.types import ID
            from bokeh.embed import json_item
            from bokeh.resources import Resources
        item = renumber_models(dict(json_item(self._layout(), ID("plot"))))
        scripts = Resources(mode="inline", components=["bokeh", "bokeh-widgets"]).js_raw
        return _PAGE.format(
            title=html.escape(self.caption),
            bokeh="\n".join(scripts).replace("</script", "<\\/script"),
            item=json.dumps(item, separators=(",", ":")).replace("<", "\\u003c"),
        )

    @property
    def caption(self) -> str:
        """What is seen."""
        shown = f"the mesh of {self.topic}" if self.topic else "the mesh with the most links"
        return f"Peers on a circle at {self.moment_s:g} s: connections in grey, {shown} in blue."

    def svg(self) -> str:
        """Draw the moment as SVG; the same networks give the same text.

        Raises:
            MissingPackageError: matplotlib is not installed.
        """
        with explain_missing("the picture of a network"):
            import matplotlib as mpl
            from matplotlib.figure import Figure
        with mpl.rc_context(_STYLE):
            count = len(self.networks)
            figure = Figure(figsize=(3.6 * count, 3.8), layout="constrained")
            axes = figure.subplots(1, count, squeeze=False)[0]
            for axis, (title, networks) in zip(axes, self.networks.items(), strict=True):
                self._draw(axis, title, networks)
            out = io.StringIO()
            figure.savefig(out, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
        return out.getvalue()

    def _draw(self, axis: Any, title: str, networks: Sequence[Links]) -> None:
        place, (links, topic) = places(networks), self._at(networks)
        for pairs, colour, width in ((links.connections, _CONNECTION, 0.5), (links.meshes.get(topic, ()), _MESH, 1.2)):
            for one, other in sorted(pairs):
                axis.plot(*zip(place[one], place[other], strict=True), color=colour, lw=width, zorder=1)
        for name in links.peers:
            x, y = place[name]
            axis.scatter(x, y, color=_PEER, s=10, zorder=2)
            axis.annotate(short(name), (_OUTSIDE * x, _OUTSIDE * y), ha="center", va="center")
        axis.set_title(f"{title}: mesh of {topic}" if topic in links.meshes else title)
        axis.set_axis_off()
        axis.set_aspect("equal")

    def _at(self, networks: Sequence[Links]) -> tuple[Links, str]:
        """The network of the moment, and whose mesh of it is shown."""
        before = [links for links in networks if links.time_s <= self.moment_s] or list(networks[:1])
        links = before[-1] if before else NOTHING
        largest = max(sorted(links.meshes), key=lambda topic: len(links.meshes[topic]), default="")
        return links, self.topic or largest

    def _layout(self) -> Any:
        from bokeh.layouts import column, row
        from bokeh.models import CustomJS
        from bokeh.models.widgets import Select, Slider

        times = [links.time_s for networks in self.networks.values() for links in networks]
        topics = {topic for networks in self.networks.values() for links in networks for topic in links.meshes}
        slider = Slider(
            start=0, end=max([*times, 1.0]), step=1, value=self.moment_s, title="moment (s)", name="moment", width=_SIZE
        )
        chosen = self.topic if self.topic in topics else _LARGEST
        choices: list[str | None] = [_LARGEST, *sorted(topics)]
        select = Select(value=chosen, options=choices, title="mesh", width=200)
        drawn = [_plot(title, networks, *self._at(networks)) for title, networks in self.networks.items()]
        runs = [run for _, run in drawn]
        show = CustomJS(
            args={"runs": runs, "slider": slider, "select": select, "largest": _LARGEST, "outside": _OUTSIDE},
            code=_SHOW,
        )
        slider.js_on_change("value", show)
        select.js_on_change("value", show)
        return column(row(slider, select), row(*[plot for plot, _ in drawn]))

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, str]]:
        """Offer the page as an iframe, which notebooks keep alive when they are exported, and the still picture beside it."""
        page = self.html().replace("&", "&amp;").replace('"', "&quot;")
        frame = (
            f'<iframe title="{html.escape(self.caption)}" width="100%" height="{_SIZE + 90}" style="border: 1px solid '
            f'#d5dce3; display: block; max-width: none" srcdoc="{page}"></iframe>'
        )
        forms = {"text/html": frame, "image/svg+xml": self.svg(), "text/plain": self.caption}
        return forms, {"filename": "network", "caption": self.caption}


def places(networks: Sequence[Links]) -> dict[str, tuple[float, float]]:
    """Give every peer of a run its place on a circle, by number, so that none moves when others come and go."""
    names = sorted({name for links in networks for name in links.peers}, key=lambda name: (len(name), name))
    angles = [2 * math.pi * number / len(names) for number in range(len(names))]
    return {name: (math.cos(angle), math.sin(angle)) for name, angle in zip(names, angles, strict=True)}


def short(name: str) -> str:
    """A peer's name without what all names begin with."""
    return name.removeprefix("sim-")


def _title(label: str, links: Links, topic: str) -> str:
    """As the page's script writes it."""
    shown = f"{label}: {links.time_s:.0f} s, {len(links.peers)} peers, {len(links.connections)} connections"
    return f"{shown}, mesh of {topic}" if topic else shown


def _lines(pairs: Iterable[Pair], place: Mapping[str, tuple[float, float]]) -> dict[str, Any]:
    ends = [(*place[one], *place[other]) for one, other in sorted(pairs)]
    columns = zip(*ends, strict=True) if ends else ((), (), (), ())
    return {name: list(values) for name, values in zip(("x0", "y0", "x1", "y1"), columns, strict=True)}


def _plot(label: str, networks: Sequence[Links], links: Links, topic: str) -> tuple[Any, dict[str, Any]]:
    """The plot of one run at the moment, and what the page's script needs to show another one."""
    from bokeh.models import ColumnDataSource, Range1d
    from bokeh.plotting import figure

    place = places(networks)
    numbers = {name: number for number, name in enumerate(place)}
    plot: Any = figure(
        frame_width=_SIZE, frame_height=_SIZE, x_range=Range1d(start=-1.2, end=1.2), y_range=Range1d(start=-1.2, end=1.2),
        x_axis_type=None, y_axis_type=None, toolbar_location=None, tools="", title=_title(label, links, topic),
    )  # fmt: skip
    plot.grid.grid_line_color = None
    connections = ColumnDataSource(_lines(links.connections, place))
    mesh = ColumnDataSource(_lines(links.meshes.get(topic, ()), place))
    xs, ys = ([place[name][axis] for name in links.peers] for axis in (0, 1))
    outer = {"outer_x": [_OUTSIDE * x for x in xs], "outer_y": [_OUTSIDE * y for y in ys]}
    peers = ColumnDataSource({"x": xs, "y": ys, "name": [short(name) for name in links.peers], **outer})
    plot.segment("x0", "y0", "x1", "y1", line_color=_CONNECTION, line_width=0.8, source=connections)
    plot.segment("x0", "y0", "x1", "y1", line_color=_MESH, line_width=1.8, source=mesh)
    plot.scatter("x", "y", size=7, color=_PEER, source=peers)
    middle = {"text_align": "center", "text_baseline": "middle", "text_font_size": "9px"}
    plot.text("outer_x", "outer_y", text="name", source=peers, **middle)
    run = {
        "label": label,
        "title": plot.title,
        "connections": connections,
        "mesh": mesh,
        "peers": peers,
        "x": [round(x, 4) for x, _ in place.values()],
        "y": [round(y, 4) for _, y in place.values()],
        "names": [short(name) for name in place],
        "networks": [_packed(links, numbers) for links in networks],
    }
    return plot, run


def _packed(links: Links, numbers: Mapping[str, int]) -> dict[str, Any]:
    def pairs(found: Iterable[Pair]) -> list[list[int]]:
        return sorted([numbers[one], numbers[other]] for one, other in found)

    return {
        "time_s": links.time_s,
        "peers": [numbers[name] for name in links.peers],
        "connections": pairs(links.connections),
        "meshes": {topic: pairs(links.meshes[topic]) for topic in sorted(links.meshes)},
    }
