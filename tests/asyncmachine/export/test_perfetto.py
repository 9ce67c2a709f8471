"""The Chrome trace: what Perfetto needs to draw it."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncmachine import Machine, pipes
from asyncmachine.export.perfetto import TraceTooLargeError, write_perfetto
from asyncmachine.record import Record, Recorder
from asyncmachine.record.format import LEVELS
from tests.asyncmachine.export.soundness import play_random

if TYPE_CHECKING:
    from asyncmachine.record.format import Level

Event = dict[str, Any]


def written(record: Record, path: Path, **options: Any) -> list[Event]:
    """Events of the file."""
    write_perfetto(record, path, **options)
    events: list[Event] = json.loads(path.read_bytes())["traceEvents"]
    check(events)
    return events


def check(events: list[Event]) -> None:
    """Events are sorted, on named tracks with numbers of their own; bars of a track are nested or apart; arrows have two ends."""
    named = [event for event in events if event["ph"] == "M"]
    drawn = [event for event in events if event["ph"] != "M"]
    assert events == named + drawn
    processes = [event["pid"] for event in named if event["name"] == "process_name"]
    tracks = [event["tid"] for event in named if event["name"] == "thread_name"]
    assert sorted(processes + tracks) == list(range(1, len(processes + tracks) + 1))
    assert {event["pid"] for event in drawn} <= set(processes)
    assert {event["tid"] for event in drawn if event["ph"] != "C"} == set(tracks)
    times = [event["ts"] for event in drawn]
    assert times == sorted(times)
    check_tracks(drawn)
    check_arrows(drawn)


def check_tracks(drawn: list[Event]) -> None:
    """Bars are nested or apart, and no two instants of a track share a moment."""
    ends: dict[int, list[float]] = defaultdict(list)
    instants: set[tuple[int, float]] = set()
    for event in drawn:
        if event["ph"] == "X":
            assert event["dur"] > 0
            start, end = nanoseconds(event["ts"]), nanoseconds(event["ts"]) + nanoseconds(event["dur"])
            open_ = ends[event["tid"]]
            while open_ and open_[-1] <= start:
                open_.pop()
            assert not open_ or end <= open_[-1], event
            open_.append(end)
        elif event["ph"] == "i":
            assert (event["tid"], event["ts"]) not in instants
            instants.add((event["tid"], event["ts"]))


def nanoseconds(microseconds: float) -> int:
    return round(microseconds * 1000)


def check_arrows(drawn: list[Event]) -> None:
    """An arrow begins before it ends, each time at the event that was drawn on its track last."""
    last: dict[int, Event] = {}
    begun: dict[int, Event] = {}
    for event in drawn:
        if event["ph"] in "Xi":
            last[event["tid"]] = event
        elif event["ph"] in "sf":
            assert last[event["tid"]]["ts"] == event["ts"]
        if event["ph"] == "s":
            begun[event["id"]] = event
        elif event["ph"] == "f":
            assert begun.pop(event["id"])["name"] == event["name"]
    assert not begun


def names(events: list[Event], what: str) -> dict[int, str]:
    """Names of processes or tracks, by number."""
    key = "pid" if what == "process_name" else "tid"
    return {event[key]: event["args"]["name"] for event in events if event["ph"] == "M" and event["name"] == what}


def arrows(events: list[Event]) -> list[tuple[str, str, str]]:
    """What each arrow leads from and to, and its name."""
    last: dict[int, str] = {}
    begun: dict[int, str] = {}
    found = []
    for event in events:
        if event["ph"] in "Xi":
            last[event["tid"]] = event["name"]
        elif event["ph"] == "s":
            begun[event["id"]] = last[event["tid"]]
        elif event["ph"] == "f":
            found.append((begun[event["id"]], last[event["tid"]], event["name"]))
    return found


def test_tracks_of_a_host(record: Record, tmp_path: Path) -> None:
    """A host is a process; its spans, points, transitions, handlers and states are tracks in that order."""
    events = written(record, tmp_path / "run.json")
    processes = names(events, "process_name")
    assert list(processes.values()) == ["psmon", "host:1", "host:2"]
    of = {event["tid"]: event["pid"] for event in events if event["name"] == "thread_name"}
    first = [name for track, name in names(events, "thread_name").items() if processes[of[track]] == "host:1"]
    assert first == [
        "spans", "add_peer", "topic:foobar points", "send_rpc", "ps-1 transitions", "ps-1 handlers", "ps-1: Exception",
        "ps-1: Start", "ps-1: Ready", "ps-1: Idle", "ps-1: Busy", "ps-1: Follow", "ps-1-disc transitions",
        "ps-1-disc: Boot",
    ]  # fmt: skip


def test_everything_is_drawn(record: Record, tmp_path: Path) -> None:
    """Transitions and points are instants, states and handlers bars; what was refused or failed has a category of its own."""
    events = written(record, tmp_path / "run.json")
    count = defaultdict(int)
    for event in events:
        count[event["ph"], event.get("cat")] += 1
    transitions = list(record.transitions())
    refused = [one for one in transitions if not one.change.accepted and one.change.refused_by != "error"]
    assert count["i", "transition"] == len(transitions) - len(refused) - 2
    assert (count["i", "refused"], count["i", "error"]) == (len(refused), 2)
    assert count["i", "point"] == len(record.points())
    assert count["X", "span"] == len(record.spans())
    assert count["X", "activation"] == len(list(record.activations()))
    assert count["X", "handler"] == sum(len(calls) for calls in record.handlers().values())


def test_arrows_tell_causes_and_hops(record: Record, tmp_path: Path) -> None:
    """An arrow leads from the transition a mutation was made in, across machines too, and from hop to hop of a message."""
    found = arrows(written(record, tmp_path / "run.json"))
    hops = [("publish_msg", "send_rpc"), ("send_rpc", "recv_rpc"), ("recv_rpc", "deliver_msg")]
    assert [(one, other) for one, other, name in found if name == "message"] == hops * 2
    causes = [(one, other) for one, other, name in found if name == "cause"]
    assert ("[add] Busy", "[add] Busy") in causes
    assert ("(refused) [add] Broken", "[add] Exception") in causes


def test_what_shares_a_moment_keeps_its_arrows(tmp_path: Path) -> None:
    """On a virtual clock, where a cause and what follows from it share a moment, it is drawn before it on whatever track."""
    with Recorder(tmp_path / "run.sqlite", loop_time_ns=lambda: 1_000_000) as recorder:
        one, other = (recorder.span(f"topic:{name}") for name in ("one", "other"))
        for _ in range(3):
            one.point("noise")
        sent = one.point("sent", flow="m")
        got = other.point("got", flow="m", link=sent)
        one.point("answered", flow="m", link=got)
        first, second = (Machine({"A": {}, "B": {}}, id=name, tracers=[recorder]) for name in ("first", "second"))
        pipes.add(first, second, "A")
        first.add("B")
        first.add("A")
    with Record.open(tmp_path / "run.sqlite") as record:
        found = arrows(written(record, tmp_path / "run.json"))
    expected = [("sent", "got", "message"), ("got", "answered", "message"), ("[add] A", "[add] A", "cause")]
    assert sorted(found) == sorted(expected)


def test_the_queue_is_counted(record: Record, tmp_path: Path) -> None:
    """A machine in which mutations waited has a counter; one in which none ever did has not."""
    counters = [event for event in written(record, tmp_path / "run.json") if event["ph"] == "C"]
    assert {event["name"] for event in counters} == {"ps-1 queue", "ps-2 queue"}
    values = [event["args"]["waiting"] for event in counters if event["name"] == "ps-1 queue"]
    assert max(values) >= 1
    assert all(one != other for one, other in itertools.pairwise(values))


def test_machines_without_a_host_are_processes(tmp_path: Path) -> None:
    """Without hosts each top machine is a process, with its submachines in it."""
    with Recorder(tmp_path / "run.sqlite") as recorder:
        one = Machine({"A": {}}, id="one", tracers=[recorder])
        below = Machine({"B": {}}, id="below", parent=one)
        other = Machine({"A": {}}, id="other", tracers=[recorder])
        for machine, state in ((one, "A"), (below, "B"), (other, "A")):
            machine.add(state)
    with Record.open(tmp_path / "run.sqlite") as record:
        events = written(record, tmp_path / "run.json", machines=["one"])
        assert list(names(events, "process_name").values()) == ["run", "one"]
        events = written(record, tmp_path / "run.json")
    assert list(names(events, "process_name").values()) == ["run", "one", "other"]
    assert "below: B" in names(events, "thread_name").values()


def test_overlapping_spans_have_tracks_of_their_own(tmp_path: Path) -> None:
    """Spans of one process that are neither nested nor apart are not drawn into each other."""
    with Recorder(tmp_path / "run.sqlite") as recorder:
        top = recorder.span("top")
        first = top.span("first")
        second = top.span("second")
        first.end()
        third = top.span("third")
        second.end()
        third.end()
    with Record.open(tmp_path / "run.sqlite") as record:
        events = written(record, tmp_path / "run.json")
    assert list(names(events, "thread_name").values()) == ["spans", "spans 2"]


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.sampled_from(LEVELS), st.booleans())
def test_sound_whatever_happens(seed: int, level: Level, is_virtual: bool) -> None:
    """It is well-formed for machines, spans and points that come, fail and go by chance, on either clock."""
    with tempfile.TemporaryDirectory() as folder:
        play_random(Path(folder, "run.sqlite"), seed, level, is_virtual=is_virtual)
        with Record.open(Path(folder, "run.sqlite")) as record:
            written(record, Path(folder, "run.json"))


def test_too_large_a_trace_is_not_written(record: Record, tmp_path: Path) -> None:
    """It is told in one sentence with what to do, and nothing is left behind."""
    path = tmp_path / "run.json"
    with pytest.raises(TraceTooLargeError, match=r"larger than 5,000 bytes: select machines or a time range"):
        write_perfetto(record, path, max_bytes=5000)
    assert list(tmp_path.iterdir()) == []
    assert "larger than 200 MB" in str(TraceTooLargeError(path, 200_000_000))


def test_what_was_drawn_is_told(record: Record, tmp_path: Path) -> None:
    """The result counts what is in the file."""
    drawn = write_perfetto(record, tmp_path / "run.json")
    content = json.loads((tmp_path / "run.json").read_bytes())
    assert drawn.size == (tmp_path / "run.json").stat().st_size
    assert drawn.events == sum(1 for event in content["traceEvents"] if event["ph"] != "M")
    assert str(drawn) == f"{drawn.events} events on {drawn.tracks} tracks of 3 processes"
    assert content["otherData"]["run.seed"] == 7
