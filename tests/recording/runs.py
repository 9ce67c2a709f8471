"""Recorded runs for tests, on the virtual clock unless asked otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from asyncmachine.record import Point, Record, RecordedSpan, Recorder
from pubsub_sim import World, run
from pubsub_sim.net.clock import clock_of
from pubsub_sim.recording.options import PlayOptions
from pubsub_sim.recording.playing import Played, play_recorded
from pubsub_sim.recording.worlds import WorldRecorder

Script = Callable[[World], Any]


def played(path: Path, **options: Any) -> Played:
    """Play a scenario into a file."""
    return play_recorded(PlayOptions(**({"clock": "virtual"} | options)), path)


@contextmanager
def record_of(path: Path, **options: Any) -> Iterator[Record]:
    """The record of a run that goes well."""
    outcome = played(path, **options)
    assert (outcome.outcome, outcome.error, outcome.is_recorded) == ("ok", "", True)
    with Record.open(path) as record:
        yield record


@contextmanager
def record_of_script(path: Path, script: Script, level: str = "full", **world: Any) -> Iterator[Record]:
    """The record of a world that a test makes something happen in."""

    async def main() -> None:
        clock = clock_of(asyncio.get_running_loop())
        with Recorder(path, level, loop_time_ns=clock.now_ns) as recorder:  # type: ignore[arg-type]
            scene = WorldRecorder(recorder, level, "script")  # type: ignore[arg-type]
            async with scene.make_world(**world) as made:
                with scene.phase("script"):
                    await script(made)
            scene.close("ok")

    run(main(), clock="virtual")
    with Record.open(path) as record:
        yield record


class Tree:
    """The spans of a record as a tree.

    Attributes:
        points: all points.
    """

    def __init__(self, record: Record) -> None:
        self._spans = {span.id: span for span in record.spans()}
        self.points = {point.id: point for point in record.points()}

    def path(self, span: int | None) -> tuple[str, ...]:
        """Names from the root down to a span."""
        if span is None:
            return ()
        return (*self.path(self._spans[span].parent), self._spans[span].name)

    @property
    def paths(self) -> list[tuple[str, ...]]:
        """Of all spans, in the order in which they began."""
        return [self.path(number) for number in self._spans]

    def find(self, *names: str) -> list[RecordedSpan]:
        """The spans under which these names lead."""
        return [span for span in self._spans.values() if self.path(span.id) == names]

    def host(self, point: Point) -> str:
        """The host of a point."""
        return self.path(point.span)[1]

    def named(self, name: str) -> list[Point]:
        """The points of a name, in order."""
        return [point for point in self.points.values() if point.name == name]

    def followed(self, point: Point) -> tuple[str, str] | None:
        """Host and name of the point that a point followed."""
        if point.link is None:
            return None
        return self.host(self.points[point.link]), self.points[point.link].name
