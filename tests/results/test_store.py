"""The Parquet store."""

import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pubsub_sim.results import (
    RUN,
    BusyFolderError,
    NoRunsError,
    Row,
    Store,
    TruncatedFileError,
    UnwritableFolderError,
    WrongSchemaError,
    fingerprint,
    wide,
)
from pubsub_sim.results.parquet import SCHEMA, read_footer, table_of, with_footer, write_whole
from pubsub_sim.results.record import PARAMETERS
from tests.results.runs import PROVENANCE, a_failure, a_run


def filled(folder: Path) -> Store:
    store = Store(folder)
    for record in (a_run("states"), a_run(repeat=2), a_run(), a_failure("baseline", "crashed")):
        store.write(
            record if record.outcome == "ok" else replace(record, parameters=replace(record.parameters, hosts=9))
        )
    return store


def test_stored_run_reads_back_unchanged(tmp_path: Path) -> None:
    """A record read back equals the one written, footer included."""
    record = a_run()
    store = Store(tmp_path / "made" / "on demand")
    store.write(record)
    assert store.read(record.parameters) == record
    assert store.read(replace(record.parameters, hosts=6)) is None


def test_written_file_has_the_explicit_schema_in_zstd(tmp_path: Path) -> None:
    """A file has exactly the columns and types of the schema, int64 values, and zstd compression."""
    path = Store(tmp_path).write(a_run())
    assert pq.read_schema(path).equals(SCHEMA)
    assert SCHEMA.field("value").type == pa.int64()
    assert pq.read_metadata(path).row_group(0).column(0).compression == "ZSTD"


def test_footer_tells_where_a_run_comes_from(tmp_path: Path) -> None:
    """The footer holds provenance, the version's description and the parameters as JSON."""
    path = Store(tmp_path).write(a_run())
    metadata = pq.read_schema(path).metadata
    assert json.loads(metadata[b"provenance"])["sources"] == "c0ffee"
    assert json.loads(metadata[b"version"])["summary"] == "the baseline one"
    assert json.loads(metadata[b"parameters"])["hosts"] == 5


def test_same_run_gives_the_same_bytes(tmp_path: Path) -> None:
    """Writing equal records twice gives byte-identical files."""
    one, two = Store(tmp_path / "a").write(a_run()), Store(tmp_path / "b").write(a_run())
    assert one.read_bytes() == two.read_bytes()


def test_writing_leaves_no_other_file(tmp_path: Path) -> None:
    """After a write the folder holds the run's file and nothing else."""
    path = Store(tmp_path).write(a_run())
    assert list(tmp_path.iterdir()) == [path]


def test_unfinished_files_of_a_killed_sweep_are_removed_and_never_read(tmp_path: Path) -> None:
    """A hidden unfinished file is not loaded, and the next sweep of the folder removes it."""
    store = Store(tmp_path)
    path = store.write(a_run())
    leftover = path.with_name(f".{path.name}.123.tmp")
    leftover.write_bytes(b"PAR1 half")
    assert len(wide(store.load())) == 1
    with store.exclusive():
        pass
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("fact", ["sources", "python", "uvloop", "cpu"])
def test_run_is_finished_only_on_the_same_ground(tmp_path: Path, fact: str) -> None:
    """A stored run counts as finished until the measured sources, Python, uvloop or the processor change."""
    store = Store(tmp_path)
    record = a_run()
    assert not store.finished(record.parameters, PROVENANCE)
    store.write(record)
    assert store.finished(record.parameters, PROVENANCE | {"utc": "later", "load_average": 2.0})
    assert not store.finished(record.parameters, PROVENANCE | {fact: "another"})
    assert not store.finished(replace(record.parameters, seed=99), PROVENANCE)


def test_failed_run_is_finished_too(tmp_path: Path) -> None:
    """A failure is data: its file counts as finished."""
    store = Store(tmp_path)
    store.write(a_failure())
    assert store.finished(a_failure().parameters, PROVENANCE)


def test_truncated_file_is_named_with_what_to_do(tmp_path: Path) -> None:
    """Loading a folder with a torn file names that file and says what to do."""
    store = filled(tmp_path)
    path = store.files()[1]
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(
        TruncatedFileError, match="is not a whole Parquet file; run the sweep again, which moves it aside"
    ) as error:
        store.load()
    assert error.value.path == path
    assert path.name in str(error.value)
    with pytest.raises(TruncatedFileError):
        store.provenance()


def test_truncated_file_is_measured_again(tmp_path: Path) -> None:
    """A torn file does not count as a finished run."""
    store = Store(tmp_path)
    path = store.write(a_run())
    path.write_bytes(b"")
    assert not store.finished(a_run().parameters, PROVENANCE)


def test_foreign_parquet_file_is_named(tmp_path: Path) -> None:
    """A Parquet file with other columns is named, with the columns that differ."""
    store = filled(tmp_path)
    pd.DataFrame({"version": ["x"], "colour": ["red"]}).to_parquet(tmp_path / "mine.parquet")
    with pytest.raises(WrongSchemaError, match=r"mine\.parquet .*missing hosts.*unknown colour"):
        store.load()


def test_column_of_another_type_is_named(tmp_path: Path) -> None:
    """A file with the right columns but a wrong type is refused with the column's name."""
    path = Store(tmp_path).write(a_run())
    table = pq.read_table(path)
    column = table.column("value").cast(pa.float64())
    pq.write_table(table.set_column(table.schema.get_field_index("value"), "value", column), path)
    with pytest.raises(WrongSchemaError, match="value is double"):
        Store(tmp_path).load()


def test_empty_or_missing_folder_is_named(tmp_path: Path) -> None:
    """Loading from a folder without runs says so instead of giving an empty frame."""
    with pytest.raises(NoRunsError, match="nothing-here holds no stored runs"):
        Store(tmp_path / "nothing-here").load()


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """A folder that cannot be made is named with the system's reason."""
    (tmp_path / "file").write_text("in the way")
    store = Store(tmp_path / "file" / "sweep")
    sentence = r"cannot write results to .*sweep: Not a directory"
    with pytest.raises(UnwritableFolderError, match=sentence), store.exclusive():
        pass
    with pytest.raises(UnwritableFolderError, match=sentence):
        store.write(a_run())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_folder_is_named(tmp_path: Path) -> None:
    """A folder without write permission is refused before anything is measured."""
    tmp_path.chmod(0o500)
    with pytest.raises(UnwritableFolderError, match="Permission denied"), Store(tmp_path).exclusive():
        pass


def test_folder_belongs_to_one_sweep_at_a_time(tmp_path: Path) -> None:
    """While one sweep holds a folder another is refused; afterwards the folder is free again."""
    busy = pytest.raises(BusyFolderError, match="another sweep is writing to")
    with Store(tmp_path).exclusive(), busy, Store(tmp_path).exclusive():
        pass
    with Store(tmp_path).exclusive():
        pass


def test_packed_form_loads_as_the_same_frame(tmp_path: Path) -> None:
    """One packed file per version holds all runs, and loading it gives the same frame, types included."""
    store = filled(tmp_path / "raw")
    written = store.pack(tmp_path / "packed")
    assert [path.name for path in written] == ["packed-baseline.parquet", "packed-states.parquet"]
    pd.testing.assert_frame_equal(Store(tmp_path / "packed").load(), store.load())


def test_packed_form_keeps_where_the_runs_come_from(tmp_path: Path) -> None:
    """Packing keeps the distinct provenance and the versions' descriptions."""
    store = filled(tmp_path / "raw")
    store.write(replace(a_run(repeat=7), provenance=PROVENANCE | {"utc": "2026-02-02T00:00:00Z", "load_average": 3.5}))
    store.pack(tmp_path / "packed")
    found = Store(tmp_path / "packed").provenance()
    assert found == store.provenance()
    assert found["utc"] == ["2026-01-01T00:00:00Z", "2026-02-02T00:00:00Z"]
    assert found["load_average"] == [0.25, 3.5]
    assert found["python"] == ["3.11.7"]
    assert found["environment"] == [{"PYTHONHASHSEED": "0"}]
    assert found["versions"]["states"]["summary"] == "the states one"


def test_sweep_is_not_packed_into_its_own_folder(tmp_path: Path) -> None:
    """Packing into the sweep's own folder is refused, because every run would be there twice."""
    with pytest.raises(WrongSchemaError, match="its own folder"):
        filled(tmp_path).pack(tmp_path)


def test_run_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    """A folder that holds a run both alone and packed is refused instead of counting it twice."""
    store = filled(tmp_path / "raw")
    store.pack(tmp_path / "packed")
    Store(tmp_path / "packed").write(a_run())
    with pytest.raises(WrongSchemaError, match="a run of baseline with 5 hosts and 20 messages is there twice"):
        Store(tmp_path / "packed").load()


def test_wide_frame_has_one_row_per_run(tmp_path: Path) -> None:
    """The wide frame has one row per run, metrics of the run by name and of a phase by phase/name."""
    table = wide(filled(tmp_path).load())
    assert len(table) == 4
    ok = table[(table["version"] == "baseline") & (table["repeat"] == 2)].iloc[0]
    assert ok["wall_ns"] == 3_000_009
    assert ok["rand msgs/wall_ns"] == 2_000_006
    assert ok["outcome"] == "ok"


def test_wide_frame_keeps_failed_runs(tmp_path: Path) -> None:
    """A run that left nothing but its failure is a row with missing numbers, not a missing row."""
    table = wide(filled(tmp_path).load())
    lost = table[table["outcome"] == "crashed"].iloc[0]
    assert lost["failures"] == 1
    assert pd.isna(lost["wall_ns"])
    assert lost["error"] == "it stopped"


def test_file_without_sessions_is_one_session(tmp_path: Path) -> None:
    """What was stored before there were sessions is read as runs of the first, under the names of today."""
    record = a_run()
    told = replace(record, rows=(*record.rows, Row(RUN, "time_slices", 7)))
    table = table_of(told)
    names = ["legs" if name == "time_slices" else name for name in table.column("metric").to_pylist()]
    old = table.set_column(table.schema.get_field_index("metric"), "metric", pa.array(names)).drop_columns("session")
    facts = {name: json.loads(text) for name, text in (table.schema.metadata or {}).items()}
    del facts[b"parameters"]["session"]
    old = with_footer(old.replace_schema_metadata(None), {name.decode(): value for name, value in facts.items()})
    write_whole(old, tmp_path / record.parameters.file_name())
    store = Store(tmp_path)
    read = store.read(record.parameters)
    assert read is not None
    assert read.parameters.session == 1
    assert read.value(RUN, "time_slices") == 7
    assert list(store.load()["session"].unique()) == [1]
    assert list(store.pairs()) == [record.parameters]
    assert store.set_aside() == {}


def test_lower_bound_is_stored_under_its_earlier_name(tmp_path: Path) -> None:
    """Files of sweeps made before it was renamed are found, read, resumed and packed like new ones."""
    record = replace(a_run(), parameters=replace(a_run().parameters, version="lower-bound"))
    path = Store(tmp_path / "runs").write(record)
    assert path.name.startswith("floor-")
    assert read_footer(path)["parameters"]["version"] == "lower-bound"
    stored = pq.read_table(path)
    assert set(stored.column("version").to_pylist()) == {"floor"}
    assert json.loads(stored.schema.metadata[b"parameters"])["version"] == "floor"
    packed = Store(tmp_path / "runs").pack(tmp_path / "packed")
    assert [file.name for file in packed] == ["packed-floor.parquet"]
    for folder in ("runs", "packed"):
        store = Store(tmp_path / folder)
        assert set(store.load()["version"]) == {"lower-bound"}
        read = store.read(record.parameters)
        assert read is not None
        assert read.parameters == record.parameters
        assert list(store.pairs()) == [record.parameters]


def test_fingerprint_is_of_the_whole_frame_as_csv(tmp_path: Path) -> None:
    """The fingerprint is the SHA-256 of the sorted frame as pandas writes it, with quoted cells and missing numbers."""
    frame = filled(tmp_path).load()
    frame["error"] = 'it said, "no"\nand ended'
    frame.loc[frame.index[::3], "limit_s"] = float("nan")
    rows = frame.sort_values([*PARAMETERS, "phase", "metric"], kind="stable")
    expected = hashlib.sha256(rows.to_csv(index=False, lineterminator="\n").encode()).hexdigest()
    assert fingerprint(frame) == expected
