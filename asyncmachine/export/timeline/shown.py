"""A timeline to show in a notebook or to save as a page."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from asyncmachine.export.errors import ExportError
from asyncmachine.export.files import write_whole
from asyncmachine.export.timeline.data import flow_data, timeline_data
from asyncmachine.export.timeline.page import page, page_height

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from asyncmachine.export.timeline.data import TimelineData
    from asyncmachine.record import Record

Axis = Literal["time", "order"]


class UnknownFlowError(ExportError):
    """No point of a record belongs to this flow.

    Attributes:
        flow: The flow asked for.
        known: The first flows of the record.
    """

    def __init__(self, flow: str, known: Sequence[str]) -> None:
        self.flow = flow
        self.known = tuple(known)
        there = f"there are {', '.join(map(repr, known))}" if known else "it has no flows"
        super().__init__(f"no point of the record belongs to the flow {flow!r}: {there}")


@dataclass(frozen=True, eq=False)
class Timeline:
    """A page with lanes, shown in a notebook inside an iframe.

    Attributes:
        data: What it shows.
        title: Its title.
        axis: The axis it has at first: "time", or "order" with one step for each event.
        html: The page, self-contained.
    """

    data: TimelineData
    title: str
    axis: Axis
    html: str

    def save(self, path: Path | str) -> int:
        """Write the page to a file, whole or not at all.

        Returns:
            Bytes written.

        Raises:
            UnwritableFileError: It cannot be written.
        """
        return write_whole(path, [self.html.encode()])

    def __repr__(self) -> str:
        header = self.data.header
        amounts = f"{len(header['lanes'])} lanes, {len(self.data.columns['bar_begin'])} spans"
        return f"<Timeline of {self.title}: {amounts}>"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        """Offer the page as an iframe: the form that notebooks keep alive when they are reopened or exported."""
        frame = (
            f'<iframe title="{html.escape(self.title)}" width="100%" height="{page_height(self.data)}" style="border: '
            f'1px solid #d5dce3; display: block; max-width: none" srcdoc="{_quoted(self.html)}"></iframe>'
        )
        text = repr(self)
        return {"text/html": frame, "text/markdown": f"`{text.replace('`', '')}`", "text/plain": text}


def _quoted(text: str) -> str:
    """Write text within double quotes; other signs need no escape there."""
    return text.replace("&", "&amp;").replace('"', "&quot;")


def timeline(*records: Record, titles: Sequence[str] = (), title: str = "", axis: Axis | None = None) -> Timeline:
    """Show records on a timeline, one above the other, on one axis.

    Args:
        records: One or more.
        titles: A title for each; by default the names of their files.
        title: Of the page.
        axis: The axis to begin with; by default the time, and the order where a record is on a loop's own clock, on
            which much happens at once.

    Raises:
        MissingExtraError: Bokeh is not installed.
    """
    names = titles_of(records, titles)
    return _shown(timeline_data(records, names), title or " and ".join(names), axis or usual_axis(records))


def message_path(
    *records: Record, flow: str, titles: Sequence[str] = (), title: str = "", axis: Axis | None = None
) -> Timeline:
    """Show the path of one message: the points of its flow, where they were, and which followed which.

    Args:
        records: One or more that have this flow.
        flow: The flow's name, such as a message's id.
        titles: A title for each; by default the names of their files.
        title: Of the page.
        axis: As of `timeline`.

    Raises:
        MissingExtraError: Bokeh is not installed.
        UnknownFlowError: A record has no such flow.
    """
    names = titles_of(records, titles)
    data = checked_flow(records, names, flow)
    return _shown(data, title or f"Path of {flow}", axis or usual_axis(records))


def checked_flow(records: Sequence[Record], titles: Sequence[str], flow: str) -> TimelineData:
    """Read the points of a flow; refuse one that a record does not have."""
    for record in records:
        flows = dict.fromkeys(point.flow for point in record.points() if point.flow)
        if flow not in flows:
            raise UnknownFlowError(flow, list(flows)[:5])
    return flow_data(records, titles, flow)


def titles_of(records: Sequence[Record], titles: Sequence[str]) -> list[str]:
    """Give each record its title: the one given, else its file's name."""
    if titles and len(titles) != len(records):
        raise ValueError(f"titles: expected one for each of {len(records)} records, got {len(titles)}")
    return list(titles) or [record.path.name for record in records]


def usual_axis(records: Sequence[Record]) -> Axis:
    """Give the axis that shows most of these records."""
    return "order" if any(record.clock == "loop" for record in records) else "time"


def _shown(data: TimelineData, title: str, axis: Axis) -> Timeline:
    return Timeline(data, title, axis, page(data, title, axis))
