"""Chrome trace JSON, for Perfetto: a process per host, a track per state, transitions as instants, arrows for causes.

What Perfetto makes of such a file decides its form. Thread 0 is taken for an idle processor and lost, and a thread with the number
of its process is shown as its main thread: so all numbers are different, from 1 on. Instants of one moment on one track are nested
into each other: so each is put a nanosecond after the last. An arrow belongs to the event of its track that began last.
"""

from __future__ import annotations

import json
from collections import defaultdict
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from asyncmachine.export.errors import ExportError
from asyncmachine.export.files import write_whole
from asyncmachine.export.message_traces import HOST_ID
from asyncmachine.export.run_trace import started_ns
from asyncmachine.export.spans import build_spans

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from asyncmachine.export.spans import Span
    from asyncmachine.record import Record

MAX_BYTES: Final = 200_000_000
"""Size up to which Perfetto opens a file in some ten seconds."""


class TraceTooLargeError(ExportError):
    """A trace would be larger than a viewer opens.

    Attributes:
        path: The file, which was not written.
        limit: Bytes it may have.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self.limit = limit
        size = f"{limit / 1e6:,.0f} MB" if limit >= 1_000_000 else f"{limit:,} bytes"
        super().__init__(f"{path} would be larger than {size}: choose machines or a part of the time")


class Drawn(NamedTuple):
    """What was written."""

    events: int
    processes: int
    tracks: int
    size: int
    """Bytes."""

    def __str__(self) -> str:
        return f"{self.events:,} events on {self.tracks:,} tracks of {self.processes:,} processes"


def write_perfetto(
    record: Record,
    path: Path | str,
    *,
    machines: Iterable[str] = (),
    after_ns: int | None = None,
    until_ns: int | None = None,
    max_bytes: int = MAX_BYTES,
) -> Drawn:
    """Write a record as a Chrome trace.

    Args:
        record: What is written.
        path: The file.
        machines: Ids of the machines wanted, with their submachines; by default everything.
        after_ns: Only what happened from this time on the record's clock on.
        until_ns: Only what happened before this time on the record's clock.
        max_bytes: A larger file is not written.

    Raises:
        UnknownMachineError: One of `machines` is not in the record.
        TraceTooLargeError: It would be larger than `max_bytes`.
        UnwritableFileError: The file cannot be written.
    """
    path = Path(path)
    traces = build_spans(
        record, machines=machines, after_ns=after_ns, until_ns=until_ns, max_spans=None, messages=False
    )
    drawing = _Drawing(list(traces.spans), started_ns(record), _TooLarge(path, max_bytes))
    drawing.draw(record)
    size = write_whole(path, drawing.chunks())
    return Drawn(drawing.count, drawing.processes, drawing.tracks, size)
