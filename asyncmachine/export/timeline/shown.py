"""Timelines for display in a notebook or saving as a page."""

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
    """A record has no point of this flow.

    Attributes:
        flow: The requested flow.
        known: The first flows of the record.
    """

    def __init__(self, flow: str, known: Sequence[str]) -> None:
        self.flow = flow
        self.known = tuple(known)
        there = f"its flows are {', '.join(map(repr, known))}" if known else "it has no flows"
        super().__init__(f"the record has no point of the flow {flow!r}: {there}")


@dataclass(frozen=True, eq=False)
class Timeline:
    """A page with lanes, displayed in a notebook inside an iframe.

    Attributes:
        data: Its data.
        title: Its title.
        axis: The initial axis: "time", or "order" with one step per event.
        html: The page, self-contained.
    """

    data: TimelineData
    title: str
    axis: Axis
    html: str

    def save(self, path: Path | str) -> int:
        """Write the page to a file atomically.

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
        """Return the page as an iframe, which keeps working when notebooks are reopened or exported."""
        frame = (
            f'<iframe title="{html.escape(self.title)}" width="100%" height="{page_height(self.data)}" style="border: '
            f'1px solid #d5dce3; display: block; max-width: none" srcdoc="{_quoted(self.html)}"></iframe>'
        )
        text = repr(self)
        return {"text/html": frame, "text/markdown": f"`{text.replace('`', '')}`", "text/plain": text}


def _quoted(text: str) -> str:
    """Escape text for double quotes; other characters need no escape there."""
    return text.replace("&", "&amp;").replace('"', "&quot;")


def timeline(*records: Record, titles: Sequence[str] = (), title: str = "", axis: Axis | None = None) -> Timeline:
    """Show records on a timeline, one above the other, on one axis.

    Args:
        records: One or more.
        titles: A title for each; by default the names of their files.
        title: Of the page.
        axis: The initial axis; by default "time", or "order" for a record on a loop's own clock, on which many events
            share a time.

    Raises:
        MissingExtraError: Bokeh is not installed.
    """
    names = titles_of(records, titles)
    return _shown(timeline_data(records, names), title or " and ".join(names), axis or usual_axis(records))


def message_path(
    *records: Record, flow: str, titles: Sequence[str] = (), title: str = "", axis: Axis | None = None
) -> Timeline:
    """Show the path of one message: the points of its flow, their places and their order.

    Args:
        records: One or more with this flow.
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
    """Return the points of a flow; refuse a flow that is not in every record."""
    for record in records:
        flows = dict.fromkeys(point.flow for point in record.points() if point.flow)
        if flow not in flows:
            raise UnknownFlowError(flow, list(flows)[:5])
    return flow_data(records, titles, flow)


def titles_of(records: Sequence[Record], titles: Sequence[str]) -> list[str]:
    """Return a title for each record: the given one, or its file's name."""
    if titles and len(titles) != len(records):
        raise ValueError(f"titles: expected one for each of {len(records)} records, got {len(titles)}")
    return list(titles) or [record.path.name for record in records]


def usual_axis(records: Sequence[Record]) -> Axis:
    """Return the default axis for these records."""
    return "order" if any(record.clock == "loop" for record in records) else "time"


def _shown(data: TimelineData, title: str, axis: Axis) -> Timeline:
    return Timeline(data, title, axis, page(data, title, axis))
