"""The command `play`: what it prints, what it leaves, and how it ends."""

from __future__ import annotations

import json
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from asyncmachine.record import Record
from pubsub_sim import OptionConflict, OptionError
from pubsub_sim.node.topic import Subscription
from pubsub_sim.recording.commands import play_command
from pubsub_sim.recording.options import PlayOptions
from pubsub_sim.recording.playing import play_recorded
from pubsub_sim.wire.message import Message
from tests.asyncmachine.export.debuggers import Debugger
from tests.bench.processes import wait_until
from tests.recording.runs import Tree

PLAY = [sys.executable, "-m", "pubsub_sim", "play"]


def play(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PLAY, *words], capture_output=True, text=True, check=False)


def facts_of(path: Path) -> dict[str, object]:
    with Record.open(path) as record:
        return dict(record.run["attributes"])


def test_it_prints_what_happened_and_no_cost(version: str, tmp_path: Path) -> None:
    """Phase by phase; the record is where it was asked for, with the options in it."""
    path = tmp_path / "run.sqlite"
    done = play("--version", version, "--clock", "virtual", "--record", str(path))
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == (
        f"simple_discovery, {version}, 3 hosts, 10 random messages, floodsub, memory, seed 1, virtual clock: ok"
    )
    (messages,) = (line for line in lines if line.startswith("rand msgs"))
    assert "publish_msg 10, validate_msg 30, deliver_msg 30, duplicate_msg 20" in messages
    assert lines[-1].endswith(f"kept in {path}")
    assert not re.search(r"\d ?(ms|s|us|MB)\b", done.stdout)
    facts = facts_of(path)
    assert facts["outcome"] == "ok"
    assert (facts["version"], facts["hosts"], facts["seed"], facts["deliveries"]) == (version, 3, 1, 33)


def test_without_a_file_nothing_is_left(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The record is made all the same, and gone afterwards."""
    assert play_command(["--clock", "virtual", "--scenario", "one_message"]) == 0
    assert list(tmp_path.iterdir()) == []
    told = capsys.readouterr().out
    assert told.startswith("one_message, states, 3 hosts, floodsub, memory, seed 1, virtual clock: ok")
    assert "publish_msg 1, validate_msg 3, deliver_msg 3" in told
    assert "kept in" not in told


def test_over_sockets_on_wall_time(version: str, tmp_path: Path) -> None:
    """The same over loopback TCP: everybody gets everything, and every hop is in the record."""
    path = tmp_path / "run.sqlite"
    options = PlayOptions(version=version, transport="tcp", hosts=4, messages=5)
    assert play_recorded(options, path).outcome == "ok"
    with Record.open(path) as record:
        tree = Tree(record)
        delivered = tree.named("deliver_msg")
        assert record.clock == "wall"
        assert len(delivered) == 4 * 6
        for point in delivered:
            assert tree.followed(point) == (tree.host(point), "validate_msg")
        away = [point for point in tree.named("validate_msg") if tree.host(point) != f"host:{point.attributes['peer']}"]
        assert {tree.followed(point) for point in away} <= {(f"host:{n}", "deliver_msg") for n in range(4)}
        times = {point.id: point.time_ns for point in tree.points.values()}
        assert all(times[point.link] <= point.time_ns for point in tree.points.values() if point.link is not None)


def test_an_earlier_record_is_replaced(tmp_path: Path) -> None:
    """A record of the same name is made anew; another file is left alone, and its name refused in one sentence."""
    path = tmp_path / "run.sqlite"
    for seed in ("1", "2"):
        assert play_command(["--clock", "virtual", "--seed", seed, "--record", str(path)]) == 0
    assert facts_of(path)["seed"] == 2
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    done = play("--clock", "virtual", "--record", str(other))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{other} is not a record and will not be replaced\n"
    assert other.read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--scenario", "chess"), "scenario: expected one of simple_discovery, one_message, got 'chess'"),
        (("--version", "fast"), "version: expected one of baseline, states, direct, states-rpc, got 'fast'"),
        (
            ("--version", "lower-bound"),
            "version: expected one of baseline, states, direct, states-rpc, got 'lower-bound'",
        ),
        (("--hosts", "1"), "hosts: expected a whole number of at least 2, got 1"),
        (("--messages", "no"), "--messages: expected a whole number, got 'no'"),
        (("--clock", "sun"), "clock: expected one of wall, virtual, got 'sun'"),
        (("--level", "much"), "level: expected one of changes, ops, full, got 'much'"),
        (("--otlp", "localhost"), "otlp: expected an address such as http://localhost:4318, got 'localhost'"),
        (("--am-dbg", "6831"), "am_dbg: expected an address such as localhost:6831, got '6831'"),
        (("--am-dbg", "localhost:0"), "am_dbg: expected an address such as localhost:6831, got 'localhost:0'"),
        (("--levle", "full"), "levle: there is no such parameter, did you mean 'level'?"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(words: tuple[str, ...], sentence: str) -> None:
    """It names the option, the value and what was expected; nothing is played."""
    with pytest.raises(OptionError) as refusal:
        play_command(words)
    assert str(refusal.value) == sentence


@pytest.mark.parametrize(
    ("words", "option", "other"),
    [
        (("--scenario", "one_message", "--messages", "3"), "messages", "scenario"),
        (("--transport", "tcp", "--clock", "virtual"), "transport", "clock"),
    ],
)
def test_options_that_exclude_each_other_are_named_both(words: tuple[str, ...], option: str, other: str) -> None:
    """Nothing is played that differs from what was asked for."""
    with pytest.raises(OptionConflict) as caught:
        play_command(words)
    assert (caught.value.option, caught.value.other) == (option, other)


def test_a_folder_that_cannot_be_made_is_bad_input(tmp_path: Path) -> None:
    """One sentence, exit status 2."""
    (tmp_path / "file").write_text("")
    done = play("--clock", "virtual", "--record", str(tmp_path / "file" / "run.sqlite"))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"{tmp_path / 'file' / 'run.sqlite'} cannot be ")
    assert done.stderr.count("\n") == 1


def test_a_failed_run_is_recorded_with_its_failure(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong payload ends the run: status 1, and the record says in which phase, and why."""
    count = 0
    take = Subscription.next

    async def garbled(self: Subscription) -> Message:
        nonlocal count
        count += 1
        message = await take(self)
        if count == 8:
            message.data = b"garbled"
        return message

    monkeypatch.setattr(Subscription, "next", garbled)
    path = tmp_path / "run.sqlite"
    assert play_command(["--version", version, "--clock", "virtual", "--record", str(path)]) == 1
    sentence = "rand msgs: host 1 expected b'1 the flooooooood 1', got b'garbled'"
    told = capsys.readouterr()
    assert told.out.splitlines()[0].endswith(": failed")
    assert told.err == f"the run failed: {sentence}\n"
    facts = facts_of(path)
    assert (facts["outcome"], facts["error"]) == ("failed", sentence)
    with Record.open(path) as record:
        (phase,) = Tree(record).find("psmon", "testcase", "rand msgs")
        assert phase.attributes["error"] == f"ScenarioFailure: {sentence}"
        assert Tree(record).find("psmon")[0].attributes["outcome"] == "failed"
        assert record.run["is_closed"] == 1


def test_a_run_that_is_stuck_is_recorded_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the virtual clock waiting for what never happens is an error of the loop, not of the scenario."""
    monkeypatch.setattr(Subscription, "offer", lambda self, message: True)  # taken, and never given
    path = tmp_path / "run.sqlite"
    options = PlayOptions(scenario="one_message", version="baseline", clock="virtual", level="changes")
    played = play_recorded(options, path)
    assert played.outcome == "failed"
    assert "waiting: " in played.error
    assert facts_of(path)["error"] == played.error


@pytest.mark.parametrize("clock", ["wall", "virtual"])
def test_an_interrupted_run_keeps_its_record(clock: str, version: str, tmp_path: Path) -> None:
    """Ctrl-C: status 130, one line, and a closed record of what happened until then."""
    path = tmp_path / "run.sqlite"
    words = ["--version", version, "--clock", clock, "--messages", "1000000", "--level", "ops", "--record", str(path)]
    process = subprocess.Popen([*PLAY, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert wait_until(lambda: holds(path, 500))
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    assert told == "interrupted; the record holds what happened until then\n"
    with Record.open(path) as record:
        assert record.run["is_closed"] == 1
        assert record.run["attributes"]["outcome"] == "interrupted"
        assert len(record.points()) >= 500
        assert all(span.end_ns is not None for span in record.spans())


def holds(path: Path, points: int) -> bool:
    """Whether a record that is being written holds so many points."""
    if not path.exists():
        return False
    try:
        with Record.open(path) as record:
            return len(record.points()) >= points
    except Exception:  # its tables are being made
        return False


def test_a_full_disk_ends_the_record_and_not_the_run(version: str, tmp_path: Path) -> None:
    """The run goes on to its end, one warning, status 1; what was written before can be read, and says why it ends."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))

    path = tmp_path / "run.sqlite"
    words = ["--version", version, "--clock", "virtual", "--messages", "600", "--record", str(path)]
    done = subprocess.run([*PLAY, *words], capture_output=True, text=True, check=False, preexec_fn=limit)
    assert done.returncode == 1
    assert "1,803 messages were read from subscriptions" in done.stdout
    assert done.stderr.startswith(f"[record] {path}: recording stopped, ")
    assert done.stderr.count("\n") == 1
    with Record.open(path) as record:
        assert 1000 <= len(record.points()) < 10_000
        assert record.run["failure"] or not record.run["is_closed"]


class Collector:
    """A stand-in for an OpenTelemetry collector over HTTP: counts what it is sent."""

    def __init__(self) -> None:
        received = self.received = []  # type: list[int]

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                received.append(len(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    yield made
    made.close()


def test_a_run_is_sent_when_it_is_over(collector: Collector) -> None:
    """All of it, to a collector that listens."""
    pytest.importorskip("opentelemetry.sdk", reason="the extra `otlp` is not installed")
    assert play_command(["--clock", "virtual", "--otlp", collector.address]) == 0
    assert sum(collector.received) > 50_000


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


def test_where_nobody_listens_the_run_goes_on(tmp_path: Path) -> None:
    """Neither a collector nor a debugger is there: one warning for each, status 1, and the run and its record are whole."""
    pytest.importorskip("opentelemetry.sdk", reason="the extra `otlp` is not installed")
    path, port = tmp_path / "run.sqlite", free_port()
    for flag, address in (("--otlp", f"http://127.0.0.1:{port}"), ("--am-dbg", f"127.0.0.1:{port}")):
        done = play("--clock", "virtual", flag, address, "--record", str(path))
        assert done.returncode == 1
        assert "33 messages were read from subscriptions" in done.stdout
        assert done.stderr.count("\n") == 1
        assert address in done.stderr
        assert facts_of(path)["outcome"] == "ok"


@pytest.mark.parametrize("clock", ["wall", "virtual"])
def test_a_debugger_is_told_live(clock: str, tmp_path: Path) -> None:
    """Every machine and every transition of the record has reached it when the command ends."""
    path = tmp_path / "run.sqlite"
    with Debugger() as debugger:
        assert play_command(["--clock", clock, "--am-dbg", debugger.address, "--record", str(path)]) == 0
        messages = debugger.messages()
    with Record.open(path) as record:
        assert set(messages) == {machine.id for machine in record.machines}
        ended = [message for told in messages.values() for message in told if not message.get("IsQueued")]
        assert len(ended) == record.last_seq


def test_the_options_are_in_the_help() -> None:
    """Each flag with its default."""
    done = play("--help")
    assert done.returncode == 0
    for flag in PlayOptions.__dataclass_fields__:
        assert f"--{flag.replace('_', '-')}" in done.stdout


def test_facts_are_plain_data(tmp_path: Path) -> None:
    """Where the record lay and who was told is no fact of the run."""
    path = tmp_path / "run.sqlite"
    play_recorded(PlayOptions(clock="virtual", record=str(path)), path)
    facts = facts_of(path)
    assert json.loads(json.dumps(facts)) == facts
    assert not {"record", "otlp", "am_dbg"} & facts.keys()
