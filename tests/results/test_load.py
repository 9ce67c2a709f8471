"""The stored runs under load: read back as they were written, packed, damaged, and told apart."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pubsub_sim.errors import OptionConflict, OptionError
from pubsub_sim.results.errors import TruncatedFileError, WrongSchemaError
from pubsub_sim.results.load import LOAD_SCHEMA, PACKED_FILE, LoadRecord, LoadRun, LoadStore
from tests.report.runs import PROVENANCE
from tests.results.load_runs import a_closed_loop, a_load, an_open_loop

FAILED = LoadRecord(run=LoadRun(version="states", in_flight=2), outcome="timeout", error="it was stopped", order=7)


def told(record: LoadRecord) -> LoadRecord:
    """Give a record as it comes back: with the version of the form among its facts."""
    return replace(record, provenance={"schema": LOAD_SCHEMA, **record.provenance})


@pytest.mark.parametrize("record", [a_closed_loop("baseline", 1, 4), an_open_loop("states", 2, 75), FAILED])
def test_a_run_is_read_back_as_it_was_written(record: LoadRecord, tmp_path: Path) -> None:
    """Numbers, shares of publishers and facts; a failed one with its sentence and without numbers."""
    store = LoadStore(tmp_path)
    assert store.read(record.run) is None
    store.write(record)
    assert store.read(record.run) == told(record)
    assert store.load() == [told(record)]
    assert [path.suffix for path in (tmp_path / "load").iterdir()] == [".parquet"]


def test_a_load_in_percent_has_one_file_whatever_its_rate_is(tmp_path: Path) -> None:
    """The rate follows from other runs: a run with another one replaces the stored one, and does not count as it."""
    store = LoadStore(tmp_path)
    one = an_open_loop("baseline", 1, 50)
    other = replace(one, run=replace(one.run, rate=one.run.rate + 1))
    store.write(one)
    assert store.read(other.run) is None
    store.write(other)
    assert [record.run for record in store.load()] == [other.run]


def test_a_run_stands_for_a_new_one_on_the_same_ground_only(tmp_path: Path) -> None:
    """Code, interpreter, event loop and processor."""
    store = LoadStore(tmp_path)
    record = a_closed_loop("baseline", 1, 1)
    store.write(record)
    assert store.finished(record.run, PROVENANCE)
    assert not store.finished(record.run, PROVENANCE | {"sources": "other"})
    assert not store.finished(replace(record.run, seed=9), PROVENANCE)


def test_packed_runs_are_the_same_in_one_file(tmp_path: Path) -> None:
    """Read like single ones, which come first where both are there; a folder without runs has nothing to pack."""
    source, target = LoadStore(tmp_path / "source"), LoadStore(tmp_path / "target")
    assert source.pack(tmp_path / "target") is None
    for record in a_load(sessions=2):
        source.write(record)
    assert source.pack(tmp_path / "target") == tmp_path / "target" / "load" / PACKED_FILE
    assert target.load() == source.load()
    run = a_load()[0].run
    assert target.read(run) == source.read(run)
    assert target.finished(run, PROVENANCE)
    newer = replace(a_load()[0], order=99)
    target.write(newer)
    assert [record.order for record in target.load() if record.run == run] == [99]


def test_a_damaged_file_is_named_and_moved_aside(tmp_path: Path) -> None:
    """Truncated, or of another form; the others stay."""
    store = LoadStore(tmp_path)
    for record in (a_closed_loop("baseline", 1, 1), a_closed_loop("states", 1, 1)):
        store.write(record)
    path = tmp_path / "load" / a_closed_loop("states", 1, 1).run.file_name()
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(TruncatedFileError):
        store.load()
    assert store.set_aside() == {path.name: f"{path.name}.corrupt"}
    assert [record.run.version for record in store.load()] == ["baseline"]


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    """Such as the runs of the first scenario."""
    from tests.report.runs import write_sweep

    sweep = write_sweep(tmp_path / "sweep", repeats=1)
    (tmp_path / "load").mkdir()
    first = next(sweep.glob("*.parquet"))
    first.rename(tmp_path / "load" / first.name)
    with pytest.raises(WrongSchemaError, match="its columns are not those of runs under load"):
        LoadStore(tmp_path).load()


def test_a_record_that_contradicts_itself_is_refused() -> None:
    """Outcome, error, names and kinds of numbers, and names of versions."""
    run = LoadRun(version="baseline", in_flight=1)
    with pytest.raises(OptionError, match="outcome: expected one of ok, failed"):
        LoadRecord(run=run, outcome="fine")
    with pytest.raises(OptionConflict, match="a run has an error exactly if it is not ok"):
        LoadRecord(run=run, outcome="failed")
    with pytest.raises(OptionError, match="a whole number with a name of LOAD_METRICS"):
        LoadRecord(run=run, outcome="ok", numbers={"sense": 1})
    with pytest.raises(OptionError, match="version: expected a name"):
        LoadRun(version="../x")


def test_throughput_is_what_was_completed_in_the_measurement() -> None:
    """Messages a second; unknown for a run that failed."""
    assert a_closed_loop("baseline", 1, 4).throughput == 1000.0
    assert FAILED.throughput is None
