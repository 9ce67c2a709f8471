"""A record outlives whoever writes it, and can be followed while it grows; both with the real command, in a process of its own."""

from __future__ import annotations

import json
import mmap
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from asyncmachine.export.jaeger import write_jaeger
from asyncmachine.export.otlp import write_otlp
from asyncmachine.export.perfetto import write_perfetto
from asyncmachine.record import Record
from pubsub_sim.recording.exports import export_record
from tests.bench.processes import wait_until
from tests.recording.runs import played
from tests.recording.test_play import PLAY, holds

BATCH = 1000

COUNTING = """
import mmap, sys
from pathlib import Path
from asyncmachine import Tracer
from pubsub_sim.recording.options import PlayOptions
from pubsub_sim.recording.playing import play_recorded

class Counter(Tracer):  # what the program itself knows of how far it has come
    count = 0
    def submachine_new(self, parent, machine):
        machine.bind_tracer(self)
    def transition_end(self, tx):
        Counter.count += 1
        shared[:8] = Counter.count.to_bytes(8, "little")

with open(sys.argv[2], "r+b") as file:
    shared = mmap.mmap(file.fileno(), 8)
    options = PlayOptions(clock=sys.argv[3], level="changes", messages=1_000_000)
    play_recorded(options, Path(sys.argv[1]), Counter())
"""


def told(record: Record) -> list[tuple[object, ...]]:
    """All transitions by what they did, with their virtual times."""
    return [(t.machine, t.number, t.time_ns, t.change[1:], t.source) for t in record.transitions()]


@pytest.mark.parametrize("version", ["baseline", "states"])
def test_a_killed_run_can_be_read_and_exported(version: str, tmp_path: Path) -> None:
    """Killed with -9 at some moment: what is there is what the same run does up to there, and every exporter takes it."""
    path = tmp_path / "run.sqlite"
    words = ["--version", version, "--clock", "virtual", "--messages", "1000000", "--record", str(path)]
    process = subprocess.Popen([*PLAY, *words], stdout=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: holds(path, 2 * BATCH))
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL
    whole = tmp_path / "whole.sqlite"
    played(whole, version=version, messages=150)
    with Record.open(path) as record, Record.open(whole) as reference:
        assert record.run["is_closed"] == 0
        assert "outcome" not in record.run["attributes"]
        points = [point[1:] for point in record.points()]
        same = min(len(points), len(reference.points())) - 100  # the end of a run is another one
        assert len(points) >= 2 * BATCH
        assert same > BATCH
        assert points[:same] == [point[1:] for point in reference.points()][:same]
        transitions = told(record)
        same = min(len(transitions), reference.last_seq) - 100
        assert (same > BATCH) == (version == "states")
        assert transitions[: max(same, 0)] == told(reference)[: max(same, 0)]
        if version == "states":
            assert export_record(record, tmp_path) == []
            assert {"run.html", "am-dbg.gob.br"} <= {file.name for file in tmp_path.iterdir()}
        else:  # whose pages and dumps are made of the same rows
            write_jaeger(record, tmp_path / "jaeger.json")
            write_otlp(record, tmp_path / "otlp.jsonl")
            write_perfetto(record, tmp_path / "perfetto.json")
    assert len((tmp_path / "otlp.jsonl").read_text().splitlines()) > 1
    assert json.loads((tmp_path / "perfetto.json").read_text())["traceEvents"]
    assert json.loads((tmp_path / "jaeger.json").read_text())["data"]


@pytest.mark.parametrize("clock", ["wall", "virtual"])
def test_all_but_the_last_batch_is_there(clock: str, tmp_path: Path) -> None:
    """Beside the record the program counts its transitions itself: no more than a batch of them is lost."""
    path, counter = tmp_path / "run.sqlite", tmp_path / "count"
    counter.write_bytes(bytes(8))
    with counter.open("r+b") as file, mmap.mmap(file.fileno(), 8) as shared:
        process = subprocess.Popen([sys.executable, "-c", COUNTING, str(path), str(counter), clock])
        try:
            assert wait_until(lambda: int.from_bytes(shared[:8], "little") > 5 * BATCH)
        finally:
            process.kill()
        assert process.wait() == -signal.SIGKILL
        count = int.from_bytes(shared[:8], "little")
    with Record.open(path) as record:
        assert count - BATCH <= record.last_seq <= count + 1
        assert len(list(record.replay())) == record.last_seq


def test_a_second_process_follows_a_record_that_grows(tmp_path: Path) -> None:
    """This process reads what that one writes: each look shows more, what was seen stays, and the end is seen too."""
    path = tmp_path / "run.sqlite"
    words = ["--version", "states", "--messages", "1000000", "--record", str(path)]
    process = subprocess.Popen([*PLAY, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: holds(path, 1))
        with Record.open(path) as record:
            seen: list[tuple[object, ...]] = []
            for _ in range(3):
                before = len(seen)
                assert wait_until(lambda: record.last_seq > before)  # noqa: B023 - called at once
                record.refresh()
                now = told(record)
                assert now[:before] == seen
                assert len(now) > before
                seen = now
            assert record.run["is_closed"] == 0
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=120) == 130
            record.refresh()
            assert record.run["is_closed"] == 1
            assert record.run["attributes"]["outcome"] == "interrupted"
            assert told(record)[: len(seen)] == seen
    finally:
        process.kill()
        process.wait()
