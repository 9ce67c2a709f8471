"""`python -m asyncmachine record` answers from a shell."""

from __future__ import annotations

import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from asyncmachine import Machine
from asyncmachine.record import Recorder, RecordWriter
from asyncmachine.record.command import main
from tests.asyncmachine.export.test_otlp import http_receiver


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give a record of two machines."""
    with Recorder(tmp_path / "run.sqlite", attributes={"seed": 4}) as recorder:
        for name in ("one", "two"):
            machine = Machine({"A": {}, "B": {"require": ["A"]}}, id=name, tracers=[recorder])
            machine.add("B")
            machine.add("A")
    return tmp_path / "run.sqlite"


def answer(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 0) -> list[str]:
    """Run the command and give the lines it prints."""
    assert main(["record", *map(str, arguments)]) == status
    captured = capsys.readouterr()
    return (captured.err if status == 2 else captured.out).splitlines()


def test_show_tells_the_run_and_its_transitions(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Machines and counts; transitions if they are asked for."""
    lines = answer(capsys, "show", path)
    assert lines[1:] == [
        "  seed: 4",
        "2 machines, 4 transitions",
        "  one: 3 states, 2 transitions",
        "  two: 3 states, 2 transitions",
    ]
    refused = answer(capsys, "show", path, "--refused", "--machine", "two")[-1]
    assert refused.endswith("two-2 [add] B refused by relations: B requires A")
    assert len(answer(capsys, "show", path, "--all")) == len(lines) + 5
    assert answer(capsys, "show", path, "--last", 1)[-1].split()[-4:] == ["[add]", "A", "moved", "A"]


def test_questions_are_answered(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Causes, refusals and differences, with exit status 1 where two records differ."""
    assert answer(capsys, "why", path, "two-3")[0].endswith("two-3 [add] A moved A")
    assert answer(capsys, "blocked", path, "B")[0].split()[:5] == ["2", "relations:", "B", "requires", "A"]
    assert answer(capsys, "blocked", path, "A") == ["nothing has refused A"]
    assert answer(capsys, "diff", path, path) == []
    with Recorder(tmp_path / "other.sqlite") as recorder:
        Machine({"A": {}}, id="one", tracers=[recorder])
    assert answer(capsys, "diff", path, tmp_path / "other.sqlite", status=1)[0] == "machine 1 differs"


def test_bad_input_is_one_sentence(path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """On stderr, with exit status 2."""
    for arguments, text in (
        (("show", tmp_path / "none"), "does not exist"),
        (("why", path, "77"), "the record contains no transition 77: it contains 1 to 4"),
        (("why", path, "nobody-1"), "the record contains no transition 'nobody-1'"),
        (("blocked", path, "X"), "state 'X' is not defined"),
        (("show", path, "--machine", "on"), "did you mean 'one'?"),
        (("export", path, "--to", "paper"), "invalid choice: 'paper'"),
        (("export", path, "--to", "jaeger", "--endpoint", "x"), "--endpoint requires --to otlp"),
        (("export", path), "required: --to"),
        (("nonsense",), "invalid choice: 'nonsense'"),
        (("export", path, "--to", "jaeger", "--out", "/proc/nowhere/x"), "cannot write /proc/nowhere/x"),
    ):
        (line,) = answer(capsys, *arguments, status=2)
        assert text in line


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("jaeger", "jaeger.json"), ("otlp", "otlp.jsonl"), ("perfetto", "perfetto.json"), ("am-dbg", "gob.br")],
)
def test_every_format_is_written_beside_the_record(
    path: Path, capsys: pytest.CaptureFixture[str], name: str, suffix: str
) -> None:
    """Its size is told."""
    (line,) = answer(capsys, "export", path, "--to", name)
    written = path.with_suffix(f".{suffix}")
    assert line.startswith(f"{written}: {written.stat().st_size:,} bytes")


def test_what_a_record_lacks_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What the limit has dropped, what was lost, and why the recording stopped."""
    with Recorder(tmp_path / "dropped", limit=2, batch=2) as recorder:
        machine = Machine({"A": {}}, tracers=[recorder])
        for _ in range(6):
            machine.toggle("A")
    assert f"  {recorder.dropped} the oldest transitions dropped" in answer(capsys, "show", tmp_path / "dropped")
    RecordWriter(tmp_path / "lost", {}).fail("disk full", 3)
    lines = answer(capsys, "show", tmp_path / "lost")
    assert lines[1:] == ["  3 transitions lost", "  recording stopped: disk full", "0 machines, 0 transitions"]


def test_a_record_is_sent_to_a_collector(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what was sent is told."""
    with http_receiver() as receiver:
        (line,) = answer(capsys, "export", path, "--to", "otlp", "--endpoint", receiver.endpoint)
    assert line.startswith(f"sent to {receiver.endpoint}: ")
    assert receiver.requests


def test_a_reader_that_has_seen_enough_is_no_error(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing more is written to it, not even when the program ends."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w", buffering=1) as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["record", "show", str(path)]) == 0
        assert os.path.sameopenfile(stdout.fileno(), os.open(os.devnull, os.O_WRONLY))


def test_the_package_is_a_program(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its exit status is that of the command; importing it runs nothing."""
    for words, status in ((["show", str(path)], 0), (["show", str(tmp_path / "none")], 2)):
        monkeypatch.setattr(sys, "argv", ["asyncmachine", "record", *words])
        with pytest.raises(SystemExit) as left:
            runpy.run_module("asyncmachine", run_name="__main__")
        assert left.value.code == status
    told = capsys.readouterr()
    assert "2 machines, 4 transitions" in told.out
    assert "does not exist" in told.err
    runpy.run_module("asyncmachine.__main__", run_name="imported")
    assert capsys.readouterr() == ("", "")


def test_it_runs_as_a_module(path: Path) -> None:
    """And a reader that has seen enough is no error."""
    command = f"{sys.executable} -m asyncmachine record show {path} --all | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "level changes" in done.stdout
