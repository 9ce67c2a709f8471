"""Spans and points of a record: events outside machines, such as the phases of a program or its messages."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING, Any, Self

from asyncmachine.record.writer import plain_text, to_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from asyncmachine.record.writer import RecordWriter


class Span:
    """A named period. A context manager that ends it on exit.

    Attributes:
        id: Its number in the record.
    """

    def __init__(self, spans: Spans, number: int) -> None:
        self._spans = spans
        self.id = number

    def __index__(self) -> int:
        return self.id

    def span(self, name: str, **attributes: object) -> Span:
        """Begin a nested span."""
        return self._spans.begin(name, self, attributes)

    def point(self, name: str, *, flow: str = "", link: int | None = None, **attributes: object) -> int:
        """Record a point in this span, as `Recorder.point` does; return its id."""
        return self._spans.point(name, self, flow, link, attributes)

    def end(self, **attributes: object) -> None:
        """End it, adding facts about it. Further calls have no effect."""
        self._spans.end(self.id, attributes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.end()
        else:
            self.end(error=f"{type(error).__name__}: {error}")


class Spans:
    """The buffered spans and points of a record.

    Args:
        now: Returns the wall time since the start of the run, in nanoseconds.
        loop_now: Returns the loop's own time if it differs, else None.
        note_row: Called when a row is buffered.
        flush: Writes all buffered rows; called when a batch of points is full.
        batch: Number of points in a batch.
    """

    def __init__(
        self,
        now: Callable[[], int],
        loop_now: Callable[[], int | None],
        note_row: Callable[[], None],
        flush: Callable[[], None],
        batch: int,
    ) -> None:
        self._now = now
        self._loop_now = loop_now
        self._note_row = note_row
        self._flush = flush
        self._batch = batch
        self._span_ids = count(1)
        self._point_ids = count(1)
        self._open: dict[int, dict[str, object]] = {}
        self._begun: list[tuple[Any, ...]] = []
        self._ended: list[tuple[Any, ...]] = []
        self._points: list[tuple[Any, ...]] = []

    def begin(self, name: str, parent: Span | int | None, attributes: Mapping[str, object]) -> Span:
        """Begin a span."""
        number = next(self._span_ids)
        above = None if parent is None else parent.__index__()
        self._note_row()
        self._open[number] = dict(attributes)
        now, loop_now = self._now(), self._loop_now()
        self._begun.append((number, above, plain_text(name), now, loop_now, to_json(attributes)))
        return Span(self, number)

    def end(self, number: int, attributes: Mapping[str, object]) -> None:
        """End a span."""
        begun = self._open.pop(number, None)
        if begun is not None:
            self._note_row()
            self._ended.append((self._now(), self._loop_now(), to_json(begun | dict(attributes)), number))

    def point(
        self, name: str, span: Span | int | None, flow: str, link: int | None, attributes: Mapping[str, object]
    ) -> int:
        """Record a point and return its id."""
        number = next(self._point_ids)
        above = None if span is None else span.__index__()
        self._note_row()
        self._points.append((
            number, self._now(), self._loop_now(), above, plain_text(name), plain_text(flow) if flow else None, link,
            to_json(attributes),
        ))  # fmt: skip
        if len(self._points) >= self._batch:
            self._flush()
        return number

    def forget(self) -> None:
        """Discard the buffered rows, which can no longer be written."""
        self._begun, self._ended, self._points = [], [], []

    def write(self, writer: RecordWriter) -> None:
        """Write the buffered rows."""
        if self._begun:
            writer.insert("spans", ("id", "parent", "name", "start_ns", "start_loop_ns", "attributes"), self._begun)
            self._begun = []
        if self._ended:
            writer.update("spans", "id", ("end_ns", "end_loop_ns", "attributes"), self._ended)
            self._ended = []
        if self._points:
            writer.insert("points", _POINT, self._points)
            self._points = []


_POINT = ("id", "time_ns", "loop_ns", "span", "name", "flow", "link", "attributes")
