"""The file of the engine's benchmark."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asyncmachine.benchmark.rounds import FORM, SCHEMA
from asyncmachine.benchmark.worker import OUTCOMES
from pubsub_sim.results import (
    ENGINE_FILE,
    EngineFileError,
    Store,
    UnwritableFolderError,
    load_engine,
    read_engine,
    write_engine,
)
from pubsub_sim.results.engine import ENGINE_FORM, ENGINE_SCHEMA, SAMPLE_OUTCOMES
from tests.results.engine_runs import an_engine
from tests.results.runs import a_run


def test_stored_record_reads_back_unchanged(tmp_path: Path) -> None:
    """A record read back equals the one written, and nothing else is in the folder."""
    path = write_engine(tmp_path / "made", an_engine())
    assert path.name == ENGINE_FILE
    assert read_engine(tmp_path / "made") == an_engine()
    assert list((tmp_path / "made").iterdir()) == [path]


def test_a_failed_sample_reads_back_with_its_sentence(tmp_path: Path) -> None:
    """What could not be measured is stored too."""
    record = an_engine(failing={"theirs": ("absent", "transitions is not installed")})
    write_engine(tmp_path, record)
    assert read_engine(tmp_path) == record


def test_a_folder_without_the_file_has_no_record(tmp_path: Path) -> None:
    """A sweep need not have one."""
    assert read_engine(tmp_path) is None


def test_the_file_is_no_run(tmp_path: Path) -> None:
    """The runs of the folder are read as if it were not there."""
    store = Store(tmp_path)
    store.write(a_run())
    write_engine(tmp_path, an_engine())
    assert len(store.files()) == 1


def test_form_and_schema_are_those_of_the_benchmark() -> None:
    """The two rooms do not import each other, but they speak of the same file."""
    assert (ENGINE_FORM, ENGINE_SCHEMA, SAMPLE_OUTCOMES) == (FORM, SCHEMA, OUTCOMES)


def broken(change: Callable[[dict[str, Any]], Any]) -> Callable[[str], str]:
    def apply(text: str) -> str:
        data = json.loads(text)
        change(data)
        return json.dumps(data)

    return apply


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda text: text[:-100], "it is not complete JSON"),
        (lambda _: "", "it is not complete JSON"),
        (lambda _: "[1, 2]", "it does not call itself asyncmachine-benchmark"),
        (broken(lambda data: data.update(form="pyperf")), "it does not call itself asyncmachine-benchmark"),
        (broken(lambda data: data.update(schema=2)), "its schema is 2, expected 1"),
        (broken(lambda data: data.pop("samples")), "KeyError: 'samples'"),
        (broken(lambda data: data["workloads"][0].pop("unit")), "expected name, title, group, per, events, unit"),
        (broken(lambda data: data["samples"][0].update(workload="x")), "a sample of 'x'"),
        (broken(lambda data: data["samples"][0].update(amount=0)), "outcome 'ok' does not fit its numbers"),
        (broken(lambda data: data["contract"][0].update(over="x")), "needs a workload that the file lacks"),
    ],
)
def test_a_truncated_or_foreign_file_is_one_sentence(tmp_path: Path, change: Callable[[str], str], says: str) -> None:
    """The sentence names the file, what is wrong with it and what to do."""
    path = write_engine(tmp_path, an_engine())
    path.write_text(change(path.read_text()))
    with pytest.raises(EngineFileError) as caught:
        read_engine(tmp_path)
    told = str(caught.value)
    assert says in told
    assert told.startswith(f"{path} does not hold a benchmark of the engine")
    assert told.endswith("`python -m pubsub_sim engine` measures it again")
    assert "\n" not in told


def test_a_file_may_be_given_its_provenance(tmp_path: Path) -> None:
    """What the benchmark itself wrote does not say where; the reader of it does."""
    path = write_engine(tmp_path, an_engine())
    data = json.loads(path.read_text())
    del data["provenance"]
    path.write_text(json.dumps(data))
    assert load_engine(path, {"cpu": "Another"}).provenance == {"cpu": "Another"}
    with pytest.raises(EngineFileError, match="KeyError: 'provenance'"):
        load_engine(path)


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    """A file in the way is named."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(UnwritableFolderError, match="cannot write results to"):
        write_engine(tmp_path / "file", an_engine())


def test_an_unfinished_file_is_removed_by_the_next_sweep(tmp_path: Path) -> None:
    """What a killed process left does not stay."""
    leftover = tmp_path / f".{ENGINE_FILE}.123.tmp"
    leftover.write_text("{")
    with Store(tmp_path).exclusive():
        assert not leftover.exists()
