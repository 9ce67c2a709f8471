"""A record that is still written is shown as it was at one moment, whatever comes while it is read."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from asyncmachine import Machine
from asyncmachine.export.amdbg.from_record import messages_of
from asyncmachine.export.spans import build_spans
from asyncmachine.export.timeline import message_path, timeline, timeline_figure
from asyncmachine.record import DamagedRecordError, Record, Recorder

STATES = {"A": {}, "B": {}, "C": {"require": ["B"]}}


class Growing(Record):
    """A record whose program goes on each time something is read of it.

    Attributes:
        grow: Lets the program go on.
    """

    grow: Callable[[], None] = staticmethod(lambda: None)

    def _rows(self, query: str, *arguments: Any) -> list[Any]:
        self.grow()
        return super()._rows(query, *arguments)


@contextmanager
def growing(path: Path, *, limit: int | None = None, clock: Callable[[], int] | None = None) -> Iterator[Growing]:
    """A record that is read while each read lets it grow by a machine with an active state, a span and a point."""
    number = 0

    def go_on() -> None:
        nonlocal number
        number += 1
        span = recorder.span("round", number=number)
        machine = Machine(STATES, id=f"m{number}")
        machine.add("A")
        recorder.bind(machine, span=span)
        machine.add("B")
        machine.remove("A")
        machine.add("C")
        machine.remove("B")
        machine.add("C")  # refused
        span.point("seen", flow="f")
        recorder.flush()

    with Recorder(path, "full", limit=limit, loop_time_ns=clock) as recorder:
        go_on()
        with Growing.open(path) as record:
            assert isinstance(record, Growing)
            record.grow = go_on  # type: ignore[method-assign]
            yield record


READERS: dict[str, Callable[[Record], object]] = {
    "timeline": timeline,
    "figure": timeline_figure,
    "path": lambda record: message_path(record, flow="f"),
    "spans": build_spans,
    "messages": messages_of,
    "activations": lambda record: list(record.activations()),
    "blocked": lambda record: record.blocked("C"),
    "diff": lambda record: record.diff(record),
    "replay": lambda record: list(record.replay(until=record.last_seq)),
    "clocks": lambda record: record.clocks(),
}


@pytest.mark.parametrize("limit", [None, 20])
@pytest.mark.parametrize("clock", [None, lambda: 0], ids=["wall", "loop"])
@pytest.mark.parametrize("reader", READERS)
def test_what_comes_between_two_reads_disturbs_no_reader(
    tmp_path: Path, reader: str, clock: Callable[[], int] | None, limit: int | None
) -> None:
    """Machines, transitions, spans and points that are newer than what was read first, and rows that were dropped since."""
    with growing(tmp_path / "run", limit=limit, clock=clock) as record:
        for _ in range(2):
            READERS[reader](record)


def test_a_snapshot_shows_one_moment_and_keeps_nobody_from_writing(tmp_path: Path) -> None:
    """All reads inside agree, nested ones too; the program goes on meanwhile."""
    with growing(tmp_path / "run") as record:
        with record.snapshot():
            before = record.last_seq, len(list(record.transitions())), len(record.machines), len(record.spans())
            with record.snapshot():
                assert len(record.spans()) == before[3]
            after = record.last_seq, len(list(record.transitions())), len(record.machines), len(record.spans())
            assert before == after
        assert record.last_seq > before[0]


def test_a_recorder_writes_on_during_a_snapshot(tmp_path: Path) -> None:
    """Nothing of it fails, and what the snapshot shows stays as it was."""
    recorder = Recorder(tmp_path / "run")
    machine = Machine(STATES, id="m", tracers=[recorder])
    machine.add("A")
    recorder.flush()
    record = Record.open(tmp_path / "run")
    with record.snapshot():
        machine.add("B")
        recorder.flush()
        assert record.last_seq == 1
    record.close()
    recorder.close()
    assert recorder.failure is None
    with Record.open(tmp_path / "run") as finished:
        assert finished.run["is_closed"]
        assert finished.last_seq == 2


def test_damage_found_in_a_snapshot_is_told_with_the_file(tmp_path: Path) -> None:
    """A record whose file is overwritten before it is finished is an error that names it, as outside a snapshot."""
    path, left = tmp_path / "run.sqlite", tmp_path / "left.sqlite"
    with Recorder(path) as recorder:
        machine = Machine(STATES, id="m", tracers=[recorder])
        for _ in range(2000):
            machine.add("A")
            machine.remove("A")
        for file in tmp_path.glob("run.sqlite*"):  # what a killed program leaves
            shutil.copy(file, tmp_path / file.name.replace("run", "left"))
    with Record.open(left) as record:
        for file in tmp_path.glob("left.sqlite*"):
            file.write_bytes(b"\xff" * file.stat().st_size)
        with pytest.raises(DamagedRecordError, match=r"left\.sqlite"), record.snapshot():
            list(record.transitions())
