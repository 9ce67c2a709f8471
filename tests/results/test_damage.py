"""Files that cannot be read, and files that are not the store's: what is moved aside, and what is left alone."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pubsub_sim.errors import OptionError
from pubsub_sim.results import (
    Row,
    RunParameters,
    Store,
    TruncatedFileError,
    UnreadableFileError,
    UnwritableFolderError,
    WrongSchemaError,
)
from pubsub_sim.results.whole_files import put_together
from tests.results.runs import PROVENANCE, a_run


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    """Change one bit in the first page, which the footer knows nothing of."""
    content = bytearray(path.read_bytes())
    start = pq.read_metadata(path).row_group(0).column(0).dictionary_page_offset
    content[start + 20] ^= 1
    path.write_bytes(bytes(content))


def lose_rows(path: Path) -> None:
    pq.write_table(pq.read_table(path).slice(0, 0), path)


def lose_footer(path: Path) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)


def change_form(path: Path) -> None:
    pq.write_table(pa.table({"version": ["x"]}), path)


def become_impossible(path: Path) -> None:
    table = pq.read_table(path)
    words = pa.array(["splendid"] * len(table))
    pq.write_table(table.set_column(table.schema.get_field_index("outcome"), "outcome", words), path)


def become_another(path: Path) -> None:
    other = Store(path.parent / "other").write(a_run(repeat=9))
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize(
    "damage", [cut, empty, flip, lose_rows, lose_footer, change_form, become_impossible, become_another]
)
def test_damaged_file_is_moved_aside_as_it_is(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    """Whatever is wrong with a file of this store: it counts as not there, and is kept under another name."""
    store = Store(tmp_path)
    sound, path = store.write(a_run("states")), store.write(a_run())
    damage(path)
    content = path.read_bytes()
    assert not store.finished(a_run().parameters, PROVENANCE)
    assert store.set_aside() == {path.name: f"{path.name}.corrupt"}
    assert not path.exists()
    assert (tmp_path / f"{path.name}.corrupt").read_bytes() == content
    assert store.files() == [sound]
    assert len(store.load()) > 0
    assert store.set_aside() == {}


def test_second_damage_does_not_replace_what_was_moved_aside(tmp_path: Path) -> None:
    """Names that are taken get a number."""
    store, moved = Store(tmp_path), []
    for content in (b"one", b"two", b"three"):
        path = store.write(a_run())
        path.write_bytes(content)
        moved += store.set_aside().values()
    assert moved == [f"{path.name}.corrupt", f"{path.name}.corrupt.2", f"{path.name}.corrupt.3"]
    assert [(tmp_path / name).read_bytes() for name in moved] == [b"one", b"two", b"three"]


def test_damaged_packed_file_is_moved_aside_too(tmp_path: Path) -> None:
    """Its runs are not there then."""
    Store(tmp_path / "raw").write(a_run())
    (packed,) = Store(tmp_path / "raw").pack(tmp_path / "packed")
    cut(packed)
    assert Store(tmp_path / "packed").set_aside() == {packed.name: f"{packed.name}.corrupt"}
    assert Store(tmp_path / "packed").read(a_run().parameters) is None


def test_files_of_others_are_left_alone(tmp_path: Path) -> None:
    """Neither moved nor removed, whatever they hold and are called; reading names the one that is in the way."""
    store = Store(tmp_path)
    store.write(a_run())
    others = ["mine.parquet", ".mine.tmp", ".notes.1.tmp", "manifest.json", "a.corrupt"]
    for name in others:
        (tmp_path / name).write_text("mine")
    with store.exclusive():
        assert store.set_aside() == {}
    assert all((tmp_path / name).read_text() == "mine" for name in others)
    with pytest.raises(TruncatedFileError, match=r"mine\.parquet"):
        store.load()


def test_file_that_may_not_be_read_is_no_damaged_one(tmp_path: Path) -> None:
    """What the operating system refuses is named with its reason, and stays where it is."""
    store = Store(tmp_path)
    path = tmp_path / a_run().parameters.file_name()
    path.mkdir()
    for ask in (store.set_aside, store.load, lambda: store.finished(a_run().parameters, PROVENANCE)):
        with pytest.raises(UnreadableFileError, match=r"cannot read .*: Is a directory; change its permissions"):
            ask()
    assert path.is_dir()


def test_packed_run_reads_back(tmp_path: Path) -> None:
    """It counts as finished on any ground; its numbers are those of its own file."""
    Store(tmp_path / "raw").write(a_run())
    Store(tmp_path / "raw").write(a_run(repeat=2))
    Store(tmp_path / "raw").pack(tmp_path / "packed")
    store = Store(tmp_path / "packed")
    found = store.read(a_run().parameters)
    assert found is not None
    assert (found.rows, found.outcome, found.order, found.version) == (
        a_run().rows,
        "ok",
        a_run().order,
        a_run().version,
    )
    assert store.finished(a_run().parameters, PROVENANCE | {"sources": "others"})
    assert not store.finished(a_run(repeat=3).parameters, PROVENANCE)


@pytest.mark.parametrize(
    "version",
    ["../up", "/root", "a/b", "", ".", "..", ".hidden", "-x", "3", "a b", "a\0b", "a\n", "x" * 65, "Gr\u00f6\u00dfe"],
)
def test_version_is_a_name_and_no_path(tmp_path: Path, version: str) -> None:
    """Files are named after it, so that nothing may be written outside the folder; stored ones are checked as well."""
    with pytest.raises(OptionError, match="version: expected a name of at most 64 letters"):
        RunParameters(version=version, hosts=5, messages=20)
    path = Store(tmp_path / "raw").write(a_run())
    table = pq.read_table(path)
    names = pa.array([version] * len(table))
    pq.write_table(table.set_column(table.schema.get_field_index("version"), "version", names), path)
    with pytest.raises(WrongSchemaError, match="version: expected a name"):
        Store(tmp_path / "raw").pack(tmp_path / "raw" / "packed")
    assert sorted(entry.name for entry in tmp_path.rglob("*")) == sorted(["raw", path.name])


@pytest.mark.parametrize("version", ["a", "py-libp2p", "v1.2+x", "MY_version"])
def test_usual_names_are_taken(version: str) -> None:
    """Letters, digits and the signs that names have."""
    assert RunParameters(version=version, hosts=5, messages=20).file_name().startswith(f"{version}-h5-")


def test_files_that_belong_together_appear_together(tmp_path: Path) -> None:
    """If the second one cannot be written, the first is not there either, and nothing is left behind."""
    (tmp_path / "file").touch()
    with pytest.raises(UnwritableFolderError):
        put_together({tmp_path / "one": b"1", tmp_path / "file" / "two": b"2"})
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_pairs_tell_what_was_measured_together(tmp_path: Path) -> None:
    """Of files of their own and of packed ones; "" where nothing is known."""
    store = Store(tmp_path / "raw")
    for version, pair in (("baseline", "a"), ("states", "b"), ("direct", "a")):
        store.write(replace(a_run(version), provenance={**PROVENANCE, "pair": pair}))
    store.write(a_run(repeat=2))
    found = {(run.version, run.repeat): pair for run, pair in store.pairs().items()}
    assert found == {("baseline", 1): "a", ("states", 1): "b", ("direct", 1): "a", ("baseline", 2): ""}
    store.pack(tmp_path / "packed")
    assert Store(tmp_path / "packed").pairs() == store.pairs()
    assert "pair" not in store.provenance()
    pd.testing.assert_frame_equal(Store(tmp_path / "packed").load(), store.load())


def test_text_that_cannot_be_stored_is_refused() -> None:
    """Halves of surrogate pairs are no text that a file can hold."""
    for rows in ((Row("\ud800", "wall_ns", 1), Row("run", "failures", 0)),):
        with pytest.raises(OptionError, match="the name of a phase"):
            replace(a_run(), rows=rows)
