"""Which runs the notebook about the inside of a run opens, and what it says of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncmachine.export.errors import ExportError
from asyncmachine.record import Record, Recorder
from pubsub_sim.errors import OptionError
from pubsub_sim.recording.inside import InsideOptions, Runs, decide_alike, deepest, refused, why
from tests.recording.runs import played


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Records of both versions, one in the folder of each, and one of another run."""
    place = tmp_path_factory.mktemp("runs")
    for version, messages in (("states", 2), ("baseline", 2)):
        (place / version).mkdir()
        played(place / version / "run.sqlite", version=version, hosts=2, messages=messages)
    return place


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"version": "sattes"}, "version: expected"),
        ({"hosts": 1}, "hosts: expected a whole number of at least 2, got 1"),
        ({"messages": 0}, "messages: expected a whole number of at least 1, got 0"),
        ({"seed": -1}, "seed: expected a whole number of at least 0, got -1"),
        ({"record": 5}, "record: expected the path of a record, got 5"),
        ({"beside": "sattes"}, "beside: expected one of"),
    ],
)
def test_options_that_cannot_be_used_are_refused(options: dict[str, object], sentence: str) -> None:
    """One sentence that names the option."""
    with pytest.raises(OptionError) as caught:
        InsideOptions(**options)  # type: ignore[arg-type]
    assert str(caught.value).startswith(sentence)


def test_without_a_record_both_versions_are_played() -> None:
    """On the virtual clock, and nothing is left of them afterwards."""
    with Runs(InsideOptions(hosts=2, messages=1)) as runs:
        assert runs.titles == ["states", "baseline"]
        assert [record.clock for record in runs.records] == ["loop", "loop"]
        assert runs.first_flow()
        assert decide_alike(runs) == "The hosts of states and baseline decide the same, in the same order."
        paths = [record.path for record in runs.records]
        assert all(path.exists() for path in paths)
    assert not any(path.exists() for path in paths)


@pytest.mark.parametrize(
    ("version", "titles"), [("states", ["states", "baseline"]), ("baseline", ["baseline", "states"])]
)
def test_a_record_is_opened_with_the_one_beside_it(folder: Path, version: str, titles: list[str]) -> None:
    """The other version of the same run, from the folder named after it."""
    with Runs(InsideOptions(record=str(folder / version / "run.sqlite"))) as runs:
        assert runs.titles == titles


def test_a_record_of_another_run_is_not_taken_for_the_other_version(folder: Path, tmp_path: Path) -> None:
    """What does not belong together is not shown together, unless asked for."""
    for version in ("states", "baseline"):
        (tmp_path / version).mkdir()
    played(tmp_path / "states" / "run.sqlite", hosts=2, messages=1)
    (tmp_path / "baseline" / "run.sqlite").write_bytes((folder / "baseline" / "run.sqlite").read_bytes())
    own = str(tmp_path / "states" / "run.sqlite")
    with Runs(InsideOptions(record=own)) as runs:
        assert runs.titles == ["states"]
        assert decide_alike(runs) == "There is no record of another version beside this one."
    with Runs(InsideOptions(record=own, beside=str(tmp_path / "baseline" / "run.sqlite"))) as runs:
        assert runs.titles == ["states", "baseline"]


def test_a_file_that_is_no_record_is_one_sentence(tmp_path: Path) -> None:
    """With the option and what is wrong with the file."""
    (tmp_path / "text").write_text("no record")
    with pytest.raises(OptionError, match="record: expected a record; "):
        Runs(InsideOptions(record=str(tmp_path / "text")))


def test_a_record_without_messages_has_no_path_to_show(tmp_path: Path) -> None:
    """One sentence again."""
    with Recorder(tmp_path / "run.sqlite"):
        pass
    with Runs(InsideOptions(record=str(tmp_path / "run.sqlite"))) as runs:
        with pytest.raises(OptionError, match="a record of a run in which a message was published"):
            runs.first_flow()
        assert (deepest(runs.record), why(runs.record, 0), refused(runs.record)) == (0, [], [])


def test_the_longest_chain_of_causes_is_shown(folder: Path) -> None:
    """From a transition down to the one that began it all."""
    with Record.open(folder / "states" / "run.sqlite") as record:
        chain = why(record, deepest(record))
        lengths = [len(record.why(transition.seq)) for transition in record.transitions() if transition.source]
    assert len(chain) >= 2
    assert len(chain) <= max(lengths)


@pytest.mark.xdist_group("kernels")
def test_a_page_of_a_record_is_whole_or_not_there(folder: Path, tmp_path: Path) -> None:
    """It holds the frames of both versions and asks for nothing; a notebook that fails leaves no file."""
    from pubsub_sim.recording.page import write_page

    with Record.open(folder / "states" / "run.sqlite") as record:
        written = write_page(record, tmp_path / "run.html")
        html = (tmp_path / "run.html").read_text()
        assert written == len(html.encode())
        assert html.count("<iframe ") == 3
        assert html.count("srcdoc=") == 3
        around = html.split("srcdoc=")[0]
        assert "<script" not in around
        assert "Content-Security-Policy" in around
        assert str(folder) not in html
        with pytest.raises(
            ExportError, match="notebook 5_inside_a_run did not complete: NotebookError: beside: expected a"
        ):
            write_page(record, tmp_path / "failed.html", beside=tmp_path / "nowhere")
    assert [path.name for path in tmp_path.iterdir()] == ["run.html"]
