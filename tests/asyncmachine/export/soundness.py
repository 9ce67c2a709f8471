"""What has to hold for any traces, and a record with anything in it to hold it against."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

from asyncmachine import Machine, pipes
from asyncmachine.record import Recorder

if TYPE_CHECKING:
    from pathlib import Path

    from asyncmachine.export.spans import Span, Trace, Traces
    from asyncmachine.record.format import Level

HEX = set("0123456789abcdef")


def check(traces: Traces) -> None:
    """Every trace is a tree whose parents cover their children; links lead to spans that are there and are no parents."""
    known = {(span.trace_id, span.span_id) for span in traces.spans}
    assert len(known) == traces.count
    for trace in traces.traces:
        check_tree(trace)
        for span in trace.spans:
            assert (len(span.trace_id), len(span.span_id)) == (32, 16)
            assert set(span.trace_id + span.span_id) <= HEX
            for link in span.links:
                assert (link.trace_id, link.span_id) in known, (span.name, link.kind)
                assert link.span_id not in (span.parent_id, span.span_id), (span.name, link.kind)


def check_tree(trace: Trace) -> None:
    by_id = {span.span_id: span for span in trace.spans}
    assert [span for span in trace.spans if not span.parent_id] == [trace.root]
    for span in trace.spans:
        assert span.trace_id == trace.trace_id
        assert span.start_ns < span.end_ns, span.name
        if span.parent_id:
            parent = by_id[span.parent_id]
            assert parent.start_ns <= span.start_ns, (parent.name, span.name)
            assert span.end_ns <= parent.end_ns, (parent.name, span.name)
    for span in trace.spans:  # no ring: everything leads up to the root
        steps = 0
        while span.parent_id:
            span = by_id[span.parent_id]
            steps += 1
            assert steps < len(trace.spans)


def outline(trace: Trace) -> str:
    """Names of a trace, indented, by kind and time."""
    below: dict[str, list[Span]] = {}
    for span in trace.spans:
        below.setdefault(span.parent_id, []).append(span)

    def lines(span: Span, depth: int) -> list[str]:
        told = [f"{'  ' * depth}{span.name}"]
        for child in sorted(below.get(span.span_id, []), key=lambda child: (child.start_ns, child.name)):
            told += lines(child, depth + 1)
        return told

    return "\n".join(lines(trace.root, 0))


STATES: dict[str, Any] = {
    "A": {"remove": ["B"]},
    "B": {"remove": ["A"], "add": ["C"]},
    "C": {"require": ["B"]},
    "M": {"multi": True},
    "Auto": {"auto": True, "require": ["A"]},
}


class Faulty:
    """Handlers that refuse and fail now and then, and go on from where they are."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance

    def MEnter(self, event: Any) -> bool:
        return self.chance.random() < 0.7

    def BState(self, event: Any) -> None:
        if self.chance.random() < 0.3:
            raise RuntimeError("by chance")
        event.add("M")


def play_random(path: Path, seed: int, level: Level, *, is_virtual: bool) -> None:
    """Record some machines, spans and points that come and go as chance has it."""
    chance = random.Random(seed)
    now = [0]
    options: dict[str, Any] = {"loop_time_ns": lambda: now[0]} if is_virtual else {}
    with Recorder(path, level, batch=chance.choice((1, 7, 1000)), log=chance.random() < 0.5, **options) as recorder:
        spans: list[Any] = []
        points: list[int] = []
        machines = [Machine(STATES, handlers=Faulty(chance), id="top", tracers=[recorder])]
        for _ in range(chance.randrange(60)):
            now[0] += chance.choice((0, 0, 1000, 123_456_789))
            what = chance.randrange(9)
            parent = chance.choice([*spans, None])
            machine = chance.choice(machines)
            if what == 0:
                spans.append(recorder.span(chance.choice(("host:1", "topic", "topic:T")), parent, host_id=len(spans)))
            elif what == 1 and spans:
                chance.choice(spans).end()
            elif what == 2:
                flow, link = chance.choice(("", "m1", "m2")), chance.choice([*points, None])
                points.append(recorder.point(chance.choice(("send_rpc", "deliver_msg")), parent, flow=flow, link=link))
            elif what == 3 and not machine.is_disposed:
                made = Machine(STATES, handlers=Faulty(chance), id=f"m{len(machines)}", parent=machine)
                machines.append(made)
                pipes.add(machine, made, "A")
            elif what == 4 and len(machines) > 1:
                machine.dispose()
            elif what == 5:
                one = Machine(STATES, handlers=Faulty(chance), id=f"m{len(machines)}")
                recorder.bind(one, parent)
                machines.append(one)
            else:
                mutate = chance.choice((machine.add, machine.remove, machine.set, machine.can_add))
                mutate(*chance.sample(list(STATES), chance.choice((1, 1, 2))))
