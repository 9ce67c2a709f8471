"""A record can be opened in whatever condition it is, or one sentence says why not."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from asyncmachine import Machine
from asyncmachine.record import (
    DamagedRecordError,
    MissingRecordError,
    NotARecordError,
    Record,
    Recorder,
    RecordFileError,
    RecordVersionError,
    RecordWriter,
    UnknownMachineError,
)
from asyncmachine.record.format import VERSION

STATES = {"A": {}, "B": {}}
ENDLESS = """
import sys
from asyncmachine import Machine
from asyncmachine.record import Recorder
recorder = Recorder(sys.argv[1], sys.argv[2], batch=100, log=True)
machine = Machine({"A": {}}, id="m", tracers=[recorder], log_level=3)
recorder.span("run")
while True:
    machine.toggle("A")
    recorder.point("p")
    if (recorder.next_seq - 1) % 100 == 0:
        print(recorder.next_seq - 1, flush=True)
"""


def make(path: Path, transitions: int = 10) -> Path:
    with Recorder(path) as recorder:
        machine = Machine(STATES, id="m", tracers=[recorder])
        for _ in range(transitions):
            machine.toggle("A")
    return path


@pytest.mark.parametrize(
    ("content", "kind", "text"),
    [
        (None, MissingRecordError, "does not exist"),
        (b"", NotARecordError, "it is not an SQLite database"),
        (b"just text", NotARecordError, "it is not an SQLite database"),
        (b"SQLite format 3\0", DamagedRecordError, "it has 16 bytes"),
    ],
)
def test_a_file_that_is_no_record_is_refused(
    tmp_path: Path, content: bytes | None, kind: type[RecordFileError], text: str
) -> None:
    """Missing, empty, text, or the first bytes of a database: one sentence with the path."""
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(kind, match=text) as caught:
        Record.open(path)
    assert caught.value.path == path
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_database_and_a_newer_record_are_refused(tmp_path: Path) -> None:
    """By the numbers in the header, before anything is read from them."""
    with sqlite3.connect(tmp_path / "other.sqlite") as file:
        file.execute("create table run (key, value)")
    with pytest.raises(NotARecordError, match="another program's database"):
        Record.open(tmp_path / "other.sqlite")
    with sqlite3.connect(make(tmp_path / "new.sqlite")) as file:
        file.execute(f"pragma user_version = {VERSION + 1}")
    with pytest.raises(
        RecordVersionError, match=f"of format {VERSION + 1}; this library reads formats up to {VERSION}"
    ):
        Record.open(tmp_path / "new.sqlite")
    with pytest.raises(RecordFileError, match="cannot be read: Is a directory"):
        Record.open(tmp_path)


@pytest.mark.parametrize("kept", [150, 4096, 0.5, 0.99])
def test_a_truncated_record_is_refused(tmp_path: Path, kept: float) -> None:
    """Wherever it was cut."""
    path = make(tmp_path / "run.sqlite", 5000)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content)) if kept < 1 else int(kept)])
    with pytest.raises(DamagedRecordError, match="truncated"):
        Record.open(path)


def test_a_damaged_record_is_refused_in_one_sentence(tmp_path: Path) -> None:
    """When the damage is met, by opening it or by a question."""
    path = make(tmp_path / "run.sqlite", 5000)
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(DamagedRecordError, match="is a damaged record"), Record.open(path) as record:
        list(record.transitions())


@pytest.mark.parametrize("level", ["changes", "ops", "full"])
def test_a_killed_program_loses_its_last_batch_at_most(tmp_path: Path, level: str) -> None:
    """What it had reported as written is there, and all of it is whole."""
    path = tmp_path / "run.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(path), level], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) >= 3000:
                break
        process.send_signal(signal.SIGKILL)
        reported = [int(line), *map(int, process.stdout.read().split("\n")[:-1])][-1]
    with Record.open(path) as record:
        assert record.last_seq >= reported - 100
        assert not record.run["is_closed"]
        assert [after for _, _, after in record.replay()] == [(0, n) for n in range(1, record.last_seq + 1)]
        assert record.spans()[0].end_ns is None
        assert len(record.operations()) == (0 if level == "changes" else record.last_seq)
        assert sqlite3.connect(path).execute("pragma integrity_check").fetchall() == [("ok",)]


def test_the_main_file_of_a_killed_program_is_a_record_by_itself(tmp_path: Path) -> None:
    """Copied without the files beside it, it opens and holds all but the last pages."""
    recorder = Recorder(tmp_path / "run.sqlite", batch=100)
    machine = Machine(STATES, tracers=[recorder])
    shutil.copyfile(tmp_path / "run.sqlite", tmp_path / "early.sqlite")
    for _ in range(50_000):
        machine.toggle("A")
    shutil.copyfile(tmp_path / "run.sqlite", tmp_path / "late.sqlite")
    with Record.open(tmp_path / "early.sqlite") as record:
        assert record.last_seq == 0
    with Record.open(tmp_path / "late.sqlite") as record:
        assert record.last_seq > 25_000
    recorder.close()


def test_a_second_process_follows_a_record(tmp_path: Path) -> None:
    """It sees more and more, without holding up the writer."""
    path = tmp_path / "run.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", ENDLESS, str(path), "changes"], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        with Record.open(path) as record:
            seen = [record.last_seq]
            while len(seen) < 5:
                process.stdout.readline()
                record.refresh()
                if record.last_seq > seen[-1]:
                    seen.append(record.last_seq)
                    new = [one.seq for one in record.transitions(after=seen[-2], until=seen[-1])]
                    assert new == list(range(seen[-2] + 1, seen[-1] + 1))
        process.kill()
    assert path.with_name("run.sqlite-wal").stat().st_size < 4 << 20


@pytest.mark.skipif(os.name != "posix", reason="permissions of folders are POSIX's")
def test_a_record_opens_where_nothing_can_be_written() -> None:
    """Closed or left by a killed program, in a folder without write permission, by another user."""
    with tempfile.TemporaryDirectory() as place:  # pytest's own folders let no other user in
        open_in_a_locked_folder(Path(place))


def open_in_a_locked_folder(folder: Path) -> None:
    """Make both records, lock the folder, and have another process open them."""
    make(folder / "closed.sqlite")
    recorder = Recorder(folder / "live.sqlite", batch=1)
    Machine(STATES, tracers=[recorder]).add("A")
    for suffix in ("", "-wal"):
        shutil.copyfile(folder / f"live.sqlite{suffix}", folder / f"killed.sqlite{suffix}")
    recorder.close()
    for path in folder.iterdir():
        path.chmod(0o444)
    folder.chmod(0o555)
    program = (
        "import os, sys\nfrom asyncmachine.record import Record\nif os.getuid() == 0: os.setuid(65534)\n"
        "for path in sys.argv[1:]:\n    with Record.open(path) as record: print(record.last_seq)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder / "closed.sqlite"), str(folder / "killed.sqlite")],
        capture_output=True,
        text=True,
        check=False,
    )
    folder.chmod(0o755)
    assert done.stdout.split() == ["10", "1"], done.stderr


def left_behind(folder: Path, *, log: bool) -> Path:
    """Make a record as a killed program leaves it, where SQLite cannot share the memory it needs for the log beside it."""
    recorder = Recorder(folder / "live.sqlite", batch=1)
    Machine(STATES, id="m", tracers=[recorder]).add("A")
    path = folder / "killed.sqlite"
    for suffix in ("", "-wal") if log else ("",):
        shutil.copyfile(folder / f"live.sqlite{suffix}", folder / f"killed.sqlite{suffix}")
    recorder.close()
    path.with_name("killed.sqlite-shm").symlink_to("nowhere/file")
    return path


@pytest.mark.parametrize(("log", "transitions"), [(True, 1), (False, 0)])
def test_a_record_that_cannot_be_opened_in_its_place_is_read_otherwise(
    tmp_path: Path, log: bool, transitions: int
) -> None:
    """From a copy with its log, which goes with the record; without a log, as a file that does not change."""
    with Record.open(left_behind(tmp_path, log=log)) as record:
        assert record.last_seq == transitions
        copy = record._file._copy
        assert (copy is not None) == log
    assert copy is None or not Path(copy.name).exists()


def test_a_record_whose_log_cannot_be_read_is_refused(tmp_path: Path) -> None:
    """With the system's own words, and without leaving a copy."""
    path = left_behind(tmp_path, log=False)
    path.with_name("killed.sqlite-wal").mkdir()
    (path.with_name("killed.sqlite-wal") / "content").touch()
    with pytest.raises(RecordFileError, match="cannot be read: Is a directory"):
        Record.open(path)


def test_a_record_whose_path_is_too_long_for_sqlite_is_refused(tmp_path: Path) -> None:
    """Though the system can read it."""
    folder = tmp_path.joinpath(*["d" * 200] * 4)
    folder.mkdir(parents=True)
    path = make(tmp_path / "run.sqlite").rename(folder / "run.sqlite")
    with pytest.raises(RecordFileError, match="cannot be read: unable to open database file"):
        Record.open(path)


def test_a_record_without_one_of_its_tables_is_refused(tmp_path: Path) -> None:
    """By opening it."""
    for table in ("run", "changes"):
        path = make(tmp_path / f"{table}.sqlite")
        with sqlite3.connect(path) as file:
            file.execute("drop view readable")
            file.execute(f"drop table {table}")
        file.close()
        with pytest.raises(DamagedRecordError, match=f"no such table: {table}"):
            Record.open(path)


def test_a_closed_record_answers_nothing(tmp_path: Path) -> None:
    """Asking it is a mistake of the program, and no damage of the file."""
    with Record.open(make(tmp_path / "run.sqlite")) as record:
        pass
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        list(record.transitions())


def test_clocks_are_known_at_a_moment(tmp_path: Path) -> None:
    """Of the machines that were alive then, with the transitions up to it."""
    moments = iter(range(0, 100_000, 1000))
    with Recorder(tmp_path / "run.sqlite", loop_time_ns=lambda: next(moments)) as recorder:
        machine = Machine(STATES, id="m", tracers=[recorder])
        machine.add("A")
        machine.add("B")
        machine.dispose()
    with Record.open(tmp_path / "run.sqlite") as record:
        found = {
            at: [tuple(clock.values()) for clock in record.clocks(at).values()] for at in (0, 999, 1000, 2000, 3000)
        }
        assert found == {0: [(0, 0, 0)], 999: [(0, 0, 0)], 1000: [(0, 1, 0)], 2000: [(0, 1, 1)], 3000: []}


def test_a_machine_is_found_by_id_or_number(tmp_path: Path) -> None:
    """Of several with one id the latest; an unknown one is told with the nearest name."""
    with Recorder(tmp_path / "run.sqlite") as recorder:
        for _ in range(2):
            Machine(STATES, id="client", tracers=[recorder])
    with Record.open(tmp_path / "run.sqlite") as record:
        assert record.machine("client").number == 1
        assert record.machine(0).id == "client"
        with pytest.raises(UnknownMachineError, match="no machine 'clint'; did you mean 'client'"):
            record.machine("clint")
        with pytest.raises(ValueError, match="mutually exclusive"):
            record.clocks(1, seq=1)
    with pytest.raises(ValueError, match="clock must be 'wall' or 'loop'"):
        Record.open(tmp_path / "run.sqlite", "sun")  # type: ignore[arg-type]  # that is the point


def test_a_writer_gives_up_without_a_trace(tmp_path: Path) -> None:
    """What turns out to be unusable while it is written leaves no file."""
    writer = RecordWriter(tmp_path / "run.sqlite", {})
    with writer.transaction():
        assert writer.add_schema("S", STATES) == 1
        assert writer.change_id("add", ["A"], {"A": 1}) == writer.change_id("add", ["A"], {"A": 1}) == 1
    writer.abandon()
    assert list(tmp_path.iterdir()) == []
