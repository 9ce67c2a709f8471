"""A record does not depend on how much of it is kept in memory while it is written, or read at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Event, Machine
from asyncmachine.record import Record, Recorder, RecordWriter, changes, reading, steps, watching, writer

if TYPE_CHECKING:
    from pathlib import Path

STATES: dict[str, Any] = {
    "A": {"add": ["B"]}, "B": {}, "C": {"require": ["D"]}, "D": {}, "E": {"require": ["F"]}, "F": {}, "G": {"auto": True, "require": ["A"]},
}  # fmt: skip


class Handlers:
    """Queue a mutation of each kind."""

    def AState(self, e: Event) -> None:
        e.add("D")
        e.remove("B")


def play(path: Path) -> Path:
    with Recorder(path, "full", batch=2) as recorder:
        machine = Machine(STATES, id="m", handlers=Handlers(), tracers=[recorder])
        for _ in range(3):
            machine.add("A")
            machine.add("C")
            machine.add("E")
            machine.remove("A")
            machine.set("B")
    return path


def test_what_is_interned_may_be_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are then written twice, and the record tells the same transitions, steps and queued mutations."""
    with Record.open(play(tmp_path / "kept")) as kept:
        for module, name in ((changes, "_LIMIT"), (steps, "_LIMIT"), (writer, "_LIMIT"), (watching, "_CALLED_LIMIT")):
            monkeypatch.setattr(module, name, 1)
        with Record.open(play(tmp_path / "forgotten")) as forgotten:
            assert kept.diff(forgotten) is None
            texts = [[one.steps for one in record.operations().values()] for record in (kept, forgotten)]
            assert texts[0] == texts[1]
            assert [one.called for one in kept.queued()] == [one.called for one in forgotten.queued()]
            rows = [record._rows("select count(*) from changes")[0][0] for record in (kept, forgotten)]
            assert rows[0] < rows[1]


def test_transitions_are_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of any size."""
    with Record.open(play(tmp_path / "run")) as record:
        whole = list(record.transitions())
        for size in (1, 4, len(whole)):
            monkeypatch.setattr(reading, "_CHUNK", size)
            assert list(record.transitions()) == whole


def test_what_is_written_later_is_read(tmp_path: Path) -> None:
    """Changes and machines that are newer than the open record, without asking for them."""
    with Recorder(tmp_path / "run") as recorder:
        first = Machine(STATES, id="first", tracers=[recorder])
        first.add("B")
        recorder.flush()
        with Record.open(tmp_path / "run") as record:
            first.add("D")
            recorder.flush()
            assert [one.change.called for one in record.transitions()] == [("B",), ("D",)]
            second = Machine(STATES, id="second", tracers=[recorder])  # its change is the first one's
            second.add("B")
            recorder.flush()
            assert [record.tx_id(one) for one in record.transitions()] == ["first-2", "first-3", "second-2"]
            assert [machine.id for machine in record.machines] == ["first", "second"]


def test_a_writer_is_a_context_manager(tmp_path: Path) -> None:
    """Leaving it finishes the record, and finishing it twice changes nothing."""
    with RecordWriter(tmp_path / "run", {}) as opened:
        pass
    opened.close()
    with Record.open(tmp_path / "run") as record:
        assert record.run["is_closed"]


def test_a_writer_does_without_a_log_of_its_own() -> None:
    """Where SQLite can keep none beside the database, as in memory, it keeps a journal it truncates, if any."""
    with RecordWriter(":memory:", {}) as opened:
        assert opened.change_id("add", ["A"], {"A": 1}) == 1
        assert opened.execute("select kind from changes") == [("add",)]
