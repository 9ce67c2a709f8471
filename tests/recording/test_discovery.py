"""The command `discovery`, behind `make discovery`: a run per version, its record in every form, and how to open each."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from asyncmachine.export.amdbg_dump import read_dump
from asyncmachine.record import Record
from pubsub_sim import OptionError
from pubsub_sim.recording.commands import discovery_command
from pubsub_sim.recording.options import DiscoveryOptions
from tests.recording.runs import Tree

pytestmark = pytest.mark.xdist_group("discovery")  # what the command leaves is made once, in one process

FILES = {"run.sqlite", "jaeger.json", "otlp.jsonl", "perfetto.json", "run.html"}
DUMP = "am-dbg.gob.br"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """What one call of the command leaves and prints; made once, as several tests look at it."""
    folder = tmp_path_factory.mktemp("runs")
    words = ["--versions", "states,baseline", "--hosts", "3", "--messages", "4", "--out", str(folder)]
    done = subprocess.run(
        [sys.executable, "-m", "pubsub_sim", "discovery", *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return folder, done


def test_every_form_is_there(left: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """A dump for am-dbg only where there are machines; nothing else lies about."""
    folder, _ = left
    assert {path.name for path in folder.iterdir()} == {"states", "baseline"}
    assert {path.name for path in (folder / "states").iterdir()} == {*FILES, DUMP}
    assert {path.name for path in (folder / "baseline").iterdir()} == FILES


def test_it_says_what_happened_and_how_each_file_is_opened(left: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """A line for each kind of file, at the end."""
    folder, done = left
    lines = done.stdout.splitlines()
    assert lines[0].startswith("simple_discovery, states, 3 hosts, 4 random messages")
    assert lines[-8:-6] == [f"{folder / 'states'} and", f"{folder / 'baseline'}:"]
    assert {line.split()[0] for line in lines[-6:]} == {*FILES, DUMP}


@pytest.mark.parametrize("version", ["states", "baseline"])
def test_the_files_tell_of_the_same_run(version: str, left: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Level full, on wall time; spans of hosts and phases in Jaeger's file and in OTLP's, hosts in Perfetto's."""
    folder = left[0] / version
    with Record.open(folder / "run.sqlite") as record:
        assert (record.level, record.clock, record.run["attributes"]["version"]) == ("full", "wall", version)
        delivered = len(Tree(record).named("deliver_msg"))
        transitions = record.last_seq
    assert delivered == 15
    assert (transitions > 100) == (version == "states")
    spans = [span for trace in json.loads((folder / "jaeger.json").read_text())["data"] for span in trace["spans"]]
    names = [span["operationName"] for span in spans]
    assert {"psmon", "testcase", "rand msgs", "host:0", "topic:foobar", "message"} <= set(names)
    otlp = [json.loads(line) for line in (folder / "otlp.jsonl").read_text().splitlines()]
    sent = [
        span["name"]
        for batch in otlp
        for resource in batch["resourceSpans"]
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]
    assert sorted(sent) == sorted(names)
    assert json.loads((folder / "perfetto.json").read_text())["traceEvents"]


def test_the_page_needs_no_network(left: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """No script, picture or style comes from elsewhere."""
    for version in ("states", "baseline"):
        page = (left[0] / version / "run.html").read_text()
        assert re.findall(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=[\"']?(?:https?:)?//", page) == []
        assert version in page


def test_the_dump_holds_the_machines(tmp_path: Path, left: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Read again it tells of the same machines and as many transitions."""
    read_dump(left[0] / "states" / DUMP, tmp_path / "again.sqlite")
    with Record.open(tmp_path / "again.sqlite") as again, Record.open(left[0] / "states" / "run.sqlite") as record:
        assert [machine.id for machine in again.machines] == [machine.id for machine in record.machines]
        assert again.last_seq == record.last_seq


def test_files_of_an_earlier_run_are_replaced_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the new run does not leave is gone, runs of other versions stay; a missing extra costs its file only, in one sentence each."""
    for version in ("states", "baseline"):
        (tmp_path / version).mkdir()
        (tmp_path / version / DUMP).write_text("of another time")
        (tmp_path / version / "run.sqlite").write_text("no record")
    for module in ("brotli", "papermill"):
        monkeypatch.setitem(sys.modules, module, None)
    assert discovery_command(["--versions", "states", "--messages", "1", "--out", str(tmp_path)]) == 1
    page, dump = capsys.readouterr().err.splitlines()
    assert page.startswith("run.html: ")
    assert page.endswith("pip install 'pubsub-sim[lab]'")
    assert dump.startswith(f"{DUMP}: ")
    assert "pip install 'asyncmachine[amdbg]'" in dump
    assert {path.name for path in (tmp_path / "states").iterdir()} == FILES - {"run.html"}
    assert {path.name for path in (tmp_path / "baseline").iterdir()} == {DUMP, "run.sqlite"}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["baseline", "states"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--versions", "fast"), "version: expected one of baseline, states, direct, states-rpc, got 'fast'"),
        (("--versions", "states,states"), "versions: expected each value once ('states' is there twice), got "),
        (("--hosts", "0"), "hosts: expected a whole number of at least 2, got 0"),
        (("--messages", "0"), "messages: expected a whole number of at least 1, got 0"),
        (("--out", ""), "out: expected the name of a folder, got ''"),
    ],
)
def test_bad_input_is_refused_before_anything_is_played(words: tuple[str, ...], sentence: str) -> None:
    """It names the option and what was expected."""
    with pytest.raises(OptionError) as refusal:
        discovery_command(words)
    assert str(refusal.value).startswith(sentence)


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    """Exit status 2, and nothing is left."""
    (tmp_path / "file").write_text("")
    words = ["--versions", "baseline", "--messages", "1", "--out", str(tmp_path / "file")]
    done = subprocess.run(
        [sys.executable, "-m", "pubsub_sim", "discovery", *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"cannot write {tmp_path / 'file'}: Not a directory\n"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_runs_lie_where_git_does_not_look() -> None:
    """Below the repository's data, from wherever Python was started."""
    assert DiscoveryOptions().folder == ROOT / "data" / "runs"
    done = subprocess.run(
        ["git", "check-ignore", "data/runs/states/run.sqlite"], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == 0
