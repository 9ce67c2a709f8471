"""Spans of a record: the tree of the original's tracing, without its faults."""

from __future__ import annotations

import tempfile
from collections import Counter
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncmachine import Machine
from asyncmachine.export.span_model import drop_dangling
from asyncmachine.export.spans import Link, Span, SpanKeywords, SpanOptions, Trace, Traces, build_spans
from asyncmachine.record import Record, Recorder, UnknownMachineError
from asyncmachine.record.format import LEVELS
from tests.asyncmachine.export.scripted import play
from tests.asyncmachine.export.soundness import check, outline, play_random

if TYPE_CHECKING:
    from asyncmachine.record.format import Level

FIRST_HOST = """\
host:1
  mach:ps-1
    transitions
      [add] Start
        ReadyState
      (refused) [add] Follow
      [add] Idle
      (refused) [add] Follow
      (refused) [add] Blocked
      [add] Busy
        BusyState
      [add] Follow
      (refused) [add] Blocked
      (refused) [add] Vetoed
        VetoedEnter
      (refused) [add] Broken
        BrokenState
      [add] Exception
      (check, refused) [add] Vetoed
        VetoedEnter
      [add] Idle
      (refused) [add] Follow
    submachines
      mach:ps-1-disc
        transitions
          [add] Boot
        states
          Boot
            Boot
    states
      Ready
        Ready
      Start
        Start
      Idle
        Idle
        Idle
      Busy
        Busy
      Follow
        Follow
      Exception
        Exception
  pubsub
    topic
      topic:foobar
        publish_msg
        publish_msg
    add_peer
      add_peer
    send_rpc
      send_rpc
      send_rpc"""


def named(traces: Traces, name: str, **attributes: object) -> list[Span]:
    """Spans of a name that have these attributes."""
    return [
        span
        for span in traces.spans
        if span.name == name and all(span.attributes.get(key) == value for key, value in attributes.items())
    ]


def only(traces: Traces, name: str, **attributes: object) -> Span:
    (found,) = named(traces, name, **attributes)
    return found


def linked(traces: Traces, span: Span, kind: str) -> list[str]:
    """Names of the spans a span is linked with."""
    by_id = {one.span_id: one for one in traces.spans}
    return [by_id[link.span_id].name for link in span.links if link.kind == kind]


def below(trace: Trace, top: Span) -> Trace:
    """A span and what is under it, as a trace of its own."""
    kept = {top.span_id}
    for span in trace.spans:
        if span.parent_id in kept:
            kept.add(span.span_id)
    return Trace(trace.trace_id, [top] + [span for span in trace.spans if span.span_id in kept and span is not top])


def test_tree_of_a_host(record: Record) -> None:
    """Machines, states, transitions, handlers, submachines, topics and points stand where the original has them."""
    traces = build_spans(record)
    host = only(traces, "host:1")
    host.parent_id = ""
    assert outline(below(traces.traces[0], host)) == FIRST_HOST


def test_top_of_the_tree(record: Record) -> None:
    """The program's only top span is the root; phases and hosts are under it."""
    trace = build_spans(record).traces[0]
    names = {span.span_id: span.name for span in trace.spans}
    above = {span.name: names.get(span.parent_id) for span in trace.spans}
    tops = {name: above[name] for name in ("psmon", "testcase", "init", "rand msgs", "host:1", "host:2")}
    assert tops == {
        "psmon": None,
        "testcase": "psmon",
        "init": "testcase",
        "rand msgs": "testcase",
        "host:1": "psmon",
        "host:2": "psmon",
    }


def test_without_spans_the_root_is_the_run(tmp_path: Path) -> None:
    """A program that only has machines gets a root over them, and no message traces."""
    with Recorder(tmp_path / "run.sqlite") as recorder:
        Machine({"A": {}}, id="m", tracers=[recorder]).add("A")
    with Record.open(tmp_path / "run.sqlite") as record:
        (trace,) = build_spans(record).traces
    assert outline(trace) == "run\n  mach:m\n    states\n      A\n        A\n    transitions\n      [add] A"


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("max_spans", [None, 1, 2, 10, 40])
def test_sound_at_every_level(tmp_path: Path, level: Level, max_spans: int | None) -> None:
    """Parents are there and cover their children, and no link dangles, whole or cut."""
    play(tmp_path / "run.sqlite", level)
    with Record.open(tmp_path / "run.sqlite") as record:
        traces = build_spans(record, max_spans=max_spans)
        check(traces)
        whole = build_spans(record, max_spans=None)
    assert traces.count + traces.cut == whole.count
    assert all(max_spans is None or len(trace.spans) <= max_spans for trace in traces.traces)


@settings(max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from(LEVELS), st.booleans(), st.one_of(st.none(), st.integers(1, 60)))
def test_sound_whatever_happens(seed: int, level: Level, is_virtual: bool, max_spans: int | None) -> None:
    """The same holds for machines, spans and points that come, fail and go by chance, on either clock."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "run.sqlite")
        play_random(path, seed, level, is_virtual=is_virtual)
        with Record.open(path) as record:
            traces = build_spans(record, max_spans=max_spans)
            check(traces)
            kinds = Counter(span.kind for span in traces.spans)
            if max_spans is None:
                assert kinds["transition"] == sum(1 for _ in record.transitions())
                assert kinds["activation"] == sum(1 for _ in record.activations())
                assert kinds["handler"] == sum(len(calls) for calls in record.handlers().values())
                assert kinds["machine"] == len(record.machines)


def test_a_transition_tells_what_it_did(record: Record) -> None:
    """Its id, times, difference, arguments and outcome are attributes."""
    span = only(build_spans(record), "[add] Idle", tx_id="ps-1-9")
    told = {key: span.attributes[key] for key in ("mutation", "states_diff", "accepted", "auto", "time_before")}
    assert told == {
        "mutation": "[add] Idle",
        "states_diff": "+Idle -Busy -Follow",
        "accepted": True,
        "auto": False,
        "time_before": span.attributes["time_before"],
    }
    assert span.attributes["time_after"] == int(span.attributes["time_before"]) + 3
    first, second = named(build_spans(record), "[add] Event")
    assert (first.attributes["args.msgs"], second.attributes["args.msgs"]) == ("3", "3")
    assert int(first.attributes["steps_count"]) > 0


def test_refused_transitions_are_found(record: Record) -> None:
    """They are there with accepted=false, who refused them and why, and a mark in the name that needs no colour."""
    traces = build_spans(record)
    refused = [span for span in traces.spans if span.attributes.get("accepted") is False]
    assert len(refused) == sum(1 for transition in record.transitions() if not transition.change.accepted)
    assert all(span.name.startswith(("(refused) ", "(check, refused) ")) for span in refused)
    blocked = named(traces, "(refused) [add] Blocked")[0]
    assert blocked.attributes["refused_by"] == "relations"
    assert blocked.attributes["reason"] == "Blocked requires Absent"
    assert only(traces, "(refused) [add] Vetoed").attributes["refused_by"] == "VetoedEnter"
    assert only(traces, "(check, refused) [add] Vetoed").attributes["check"] is True


def test_only_exceptions_are_errors(record: Record) -> None:
    """A failed handler and the exception it caused have the status, with its text; a refusal has not."""
    errors = {span.name: span.error for span in build_spans(record).spans if span.error}
    text = "ValueError: a broken handler"
    assert errors == {"(refused) [add] Broken": text, "[add] Exception": text}


def test_exceptions_are_errors_at_the_lowest_level(tmp_path: Path) -> None:
    """Without texts in the record, the same transitions are errors."""
    play(tmp_path / "run.sqlite", "changes")
    with Record.open(tmp_path / "run.sqlite") as record:
        errors = {span.name for span in build_spans(record).spans if span.error}
    assert errors == {"(refused) [add] Broken", "[add] Exception"}


def test_what_is_open_says_so(record: Record) -> None:
    """States, machines and spans that had not ended last to the end of the record, or of their machine."""
    traces = build_spans(record)
    end_ns = int(record.run["started_unix_ns"]) + record.end_ns
    ready, idle = only(traces, "Ready", tx_id="ps-1-2"), only(traces, "Idle", tx_id="ps-1-9")
    assert (ready.attributes["open"], ready.end_ns) == (True, end_ns)
    assert (idle.attributes["open"], idle.end_ns) == (True, end_ns)
    assert "open" not in only(traces, "Busy", tx_id="ps-1-5").attributes
    assert only(traces, "mach:ps-1").attributes["open"] is True
    assert "open" not in only(traces, "mach:ps-2").attributes
    assert only(traces, "psmon").attributes["open"] is True
    assert "open" not in only(traces, "testcase").attributes


def test_links_tell_causes(record: Record) -> None:
    """A transition is linked with its cause and the activations it ended, an activation with what began it."""
    traces = build_spans(record)
    assert linked(traces, only(traces, "[add] Exception"), "source") == ["(refused) [add] Broken"]
    first, second = named(traces, "[add] Busy")
    assert (first.attributes["tx_id"], second.attributes["source"]) == ("ps-1-5", "ps-1-5")
    assert linked(traces, second, "source") == ["[add] Busy"]
    assert linked(traces, named(traces, "[add] Follow")[0], "auto") == ["[add] Busy"]
    idle = only(traces, "[add] Idle", tx_id="ps-1-9")
    assert sorted(linked(traces, idle, "ended")) == ["Busy", "Follow"]
    assert linked(traces, only(traces, "Idle", tx_id="ps-1-9"), "began") == ["[add] Idle"]


def test_log_lines_are_events(record: Record) -> None:
    """What a machine wrote during a transition is on its span."""
    texts = [event.attributes["text"] for event in named(build_spans(record), "[add] Busy")[0].events]
    assert any("[state] +Busy" in str(text) for text in texts)


def test_a_trace_for_each_message(record: Record) -> None:
    """Its points on all hosts are under one root, each linked with the one it followed, and with its place in the run."""
    traces = build_spans(record)
    run, *messages = traces.traces
    assert [trace.root.attributes["flow"] for trace in messages] == ["m1", "m2"]
    for trace in messages:
        assert [span.name for span in trace.spans] == ["message", "publish_msg", "send_rpc", "recv_rpc", "deliver_msg"]
        assert [span.service for span in trace.spans] == ["ps", "ps host:1", "ps host:1", "ps host:2", "ps host:2"]
        hops = [[link.span_id for link in span.links if link.kind == "follows"] for span in trace.spans[1:]]
        assert hops == [[], *([span.span_id] for span in trace.spans[1:4])]
        assert {span.parent_id for span in trace.spans[1:]} == {trace.root.span_id}
        assert trace.root.attributes["hosts"] == 2
        places = [link.span_id for span in trace.spans for link in span.links if link.kind == "place"]
        assert len({span.span_id for span in run.spans} & set(places)) == 4
    assert len(build_spans(record, messages=False).traces) == 1


def test_ids_are_those_of_the_record(record: Record, tmp_path: Path) -> None:
    """Reading a record again gives the same spans; another run has other ids."""
    play(tmp_path / "other.sqlite")
    with Record.open(tmp_path / "other.sqlite") as other:
        others = {span.span_id for span in build_spans(other).spans}
    assert list(build_spans(record).spans) == list(build_spans(record).spans)
    assert not others & {span.span_id for span in build_spans(record).spans}


def test_facts_about_the_run_go_with_it(record: Record) -> None:
    """The run's id, seed and other facts hold for all spans, and name the service."""
    traces = build_spans(record)
    assert traces.resource["run.id"] == record.run["id"]
    assert (traces.resource["run.seed"], traces.resource["run.hosts"]) == (7, 2)
    assert traces.traces[0].root.service == "ps"
    assert build_spans(record, service="mine").traces[0].root.service == "mine"


def test_a_cut_trace_says_so(record: Record) -> None:
    """It keeps the program's own spans and what began first, tells on its root and in words how much is missing."""
    whole = build_spans(record).traces[0]
    own = [span for span in whole.spans if span.kind == "span"]
    traces = build_spans(record, max_spans=len(own) + 12)
    cut = traces.traces[0]
    assert [span.name for span in cut.spans if span.kind == "span"] == [span.name for span in own]
    assert cut.root.attributes["cut_spans"] == cut.cut == len(whole.spans) - len(cut.spans)
    kept = {span.span_id for span in cut.spans}
    left_out = [span.start_ns for span in whole.spans if span.span_id not in kept and span.kind != "group"]
    others = [span.start_ns for span in cut.spans if span.kind not in ("span", "group")]
    assert max(others) <= min(left_out)
    assert str(traces).endswith(f"; {cut.cut} spans left out")
    assert "left out" not in str(build_spans(record))


def test_a_part_by_machines(record: Record) -> None:
    """Machines asked for come with their submachines and what is above them, and nothing else."""
    traces = build_spans(record, machines=["ps-2"])
    check(traces)
    assert {str(span.attributes["id"]) for span in traces.spans if span.kind == "machine"} == {"ps-2", "ps-2-disc"}
    assert {span.name for span in traces.spans if span.kind == "span"} == {"psmon", "host:2"}
    below_it = build_spans(record, machines=["ps-2-disc"])
    check(below_it)
    transitions = {span.attributes["tx_id"] for span in below_it.spans if span.kind == "transition"}
    assert transitions
    assert all(str(tx_id).startswith("ps-2-disc-") for tx_id in transitions)
    with pytest.raises(UnknownMachineError, match="did you mean"):
        build_spans(record, machines=["ps-3"])


def test_a_part_by_time(record: Record) -> None:
    """Everything that shares a moment with the time asked for is there, and nothing else but what is above it."""
    times = [transition.time_ns for transition in record.transitions()]
    after, until = times[5], times[-5]
    traces = build_spans(record, after_ns=after, until_ns=until)
    check(traces)
    start = int(record.run["started_unix_ns"])
    shown = [span for span in traces.spans if span.kind in ("transition", "activation", "point")]
    assert all(span.end_ns - start >= after and span.start_ns - start < until for span in shown)
    everything = [span for span in build_spans(record).spans if span.kind in ("transition", "activation", "point")]
    assert 0 < len(shown) < len(everything)
    inside = [s for s in everything if s.end_ns - start > after + 1 and s.start_ns - start < until]
    assert {span.span_id for span in inside} <= {span.span_id for span in shown}


def test_a_part_by_time_after_the_messages(record: Record) -> None:
    """What had ended before is not there: neither phases nor points nor message traces."""
    last = max(point.time_ns for point in record.points())
    traces = build_spans(record, after_ns=last + 1)
    check(traces)
    assert {span.name for span in traces.spans if span.kind == "span"} >= {"psmon", "testcase", "host:1"}
    assert not named(traces, "init")
    assert not [span for span in traces.spans if span.kind in ("point", "message")]


def test_a_span_that_ended_before_what_is_under_it(tmp_path: Path) -> None:
    """It is widened over it, and tells how long it was."""
    with Recorder(tmp_path / "run.sqlite") as recorder:
        top = recorder.span("top")
        inner = top.span("inner")
        top.end()
        inner.end()
    with Record.open(tmp_path / "run.sqlite") as record:
        recorded = record.spans()[0]
        traces = build_spans(record)
    check(traces)
    assert recorded.end_ns is not None
    assert only(traces, "top").attributes == {"recorded_us": (recorded.end_ns - recorded.start_ns) / 1000}
    assert only(traces, "inner").attributes == {}


def test_facts_that_are_no_texts_or_numbers(tmp_path: Path) -> None:
    """Every format can tell them: as JSON, or as text where a number is too large or none."""
    with Recorder(tmp_path / "run.sqlite") as recorder:
        facts = {"list": [1, "ä"], "large": 2**63, "float": 1.5, "none": None, "not": False, "id": "mine"}
        recorder.span("top", **facts, endless=float("inf")).end()
    with Record.open(tmp_path / "run.sqlite") as record:
        attributes = build_spans(record).traces[0].root.attributes
    expected = {"list": '[1, "ä"]', "large": str(2**63), "float": 1.5, "not": False, "id": "mine", "endless": "inf"}
    assert attributes == expected


def test_a_program_does_not_rename_its_run(tmp_path: Path) -> None:
    """A fact of the program with the name of one of the record's does not hide it."""
    with Recorder(tmp_path / "run.sqlite", attributes={"id": "mine"}):
        pass
    with Record.open(tmp_path / "run.sqlite") as record:
        assert build_spans(record).resource["run.id"] == record.run["id"] != "mine"


def test_on_a_virtual_clock(tmp_path: Path) -> None:
    """Times are the loop's own, and handlers, which are timed on wall time, stay within their transitions."""
    now = [0]
    path = tmp_path / "run.sqlite"
    with Recorder(path, "ops", loop_time_ns=lambda: now[0]) as recorder:

        class Handlers:
            def AState(self, event: object) -> None:
                pass

        machine = Machine({"A": {}}, handlers=Handlers(), id="m", tracers=[recorder])
        now[0] = 5_000_000_000
        machine.add("A")
        now[0] = 9_000_000_000
        machine.remove("A")
    with Record.open(path) as record:
        traces = build_spans(record)
        start = int(record.run["started_unix_ns"])
    check(traces)
    (active,) = [span for span in traces.spans if span.kind == "activation"]
    (handler,) = [span for span in traces.spans if span.kind == "handler"]
    assert (active.start_ns - start, active.end_ns - start) == (5_000_000_000, 9_000_000_000)
    assert handler.start_ns - start == 5_000_000_000


def test_a_limit_below_one_is_refused(record: Record) -> None:
    """A trace without its root is none."""
    with pytest.raises(ValueError, match="at least 1, got 0"):
        build_spans(record, max_spans=0)


def test_links_that_lead_nowhere_are_dropped() -> None:
    """Nor does a link lead to the own parent, of which Jaeger would forget that it is the parent, or to the span itself."""
    trace_id, root_id, span_id = "1" * 32, "1" * 16, "2" * 16
    root = Span("span", trace_id, root_id, "", "root", 0, 9, "s")
    span = Span("span", trace_id, span_id, root_id, "span", 0, 9, "s")
    root.links = [Link(trace_id, span_id, "source")]
    span.links = [
        Link(trace_id, root_id, "source"),
        Link(trace_id, span_id, "source"),
        Link("2" * 32, root_id, "place"),
    ]
    drop_dangling([Trace(trace_id, [root, span])])
    assert (root.links, span.links) == ([Link(trace_id, span_id, "source")], [])


def test_every_option_is_a_keyword_of_the_functions() -> None:
    """They are written down twice, as an object and for the type checker."""
    assert {field.name for field in fields(SpanOptions)} == SpanKeywords.__optional_keys__
