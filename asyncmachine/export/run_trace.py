"""The trace of a run: the program's own spans, and below them machines with their states, transitions and handlers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from asyncmachine.export.span_model import (
    SHORTEST_NS,
    Event,
    Link,
    Selection,
    Span,
    attributes_of,
    cover_children,
    cut_trace,
)
from asyncmachine.record.format import Origin
from asyncmachine.schema import EXCEPTION

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from asyncmachine.export.span_model import Attribute, Ids, Kind, Trace
    from asyncmachine.record import Activation, Record
    from asyncmachine.record.format import (
        HandlerCall,
        Operation,
        Point,
        RecordedMachine,
        RecordedSpan,
        RecordedTransition,
    )

ROOT = "run"
"""Name of the root if the program has no single top span."""


class RunTree:
    """Builder of the trace of a run. Spans are created on demand by their children, so that no group is empty.

    Args:
        record: The record.
        ids: The generator of ids.
        selection: The selected part.
        service: The service of all spans.
    """

    def __init__(self, record: Record, ids: Ids, selection: Selection, service: str) -> None:
        self._record = record
        self._ids = ids
        self._selection = selection
        self._service = service
        self._wanted = selection.numbers(record)
        self._start_ns = started_ns(record)
        self._record_end_ns = record.end_ns
        self._trace_id = ids.trace("run")
        self._spans: dict[tuple[str, object], Span] = {}
        """Spans by kind and number."""
        self._machines = {machine.number: machine for machine in record.machines}
        self._recorded = {span.id: span for span in record.spans()}
        self._transitions: dict[Origin, str] = {}
        """Ids of transitions' spans by origin."""
        self._root = self._make_root()

    def trace(self, max_spans: int | None) -> Trace:
        """Build the trace; see `spans.build_spans`."""
        if self._wanted is None:
            for recorded in self._recorded.values():
                if self._is_wanted(recorded.start_ns, recorded.end_ns):
                    self._recorded_span(recorded)
            for point in self._record.points():
                if self._is_wanted(point.time_ns, point.time_ns):
                    self._add_point(point)
        for machine in self._machines.values():
            if self._is_chosen(machine.number) and self._is_wanted(machine.start_ns, machine.end_ns):
                self._machine_span(machine)
        by_seq = self._add_transitions()
        self._add_activations(by_seq)
        spans = list(self._spans.values())
        cover_children(spans)
        return cut_trace(spans, max_spans)

    # the program's spans

    def _make_root(self) -> Span:
        tops = [span for span in self._recorded.values() if span.parent not in self._recorded]
        if len(tops) == 1:
            return self._from_recorded(tops[0], None)
        return self._add("span", "root", None, ROOT, 0, self._record_end_ns)

    def _recorded_span(self, recorded: RecordedSpan) -> Span:
        known = self._spans.get(("span", recorded.id))
        if known is not None:
            return known
        above = self._recorded.get(recorded.parent) if recorded.parent is not None else None
        return self._from_recorded(recorded, self._root if above is None else self._recorded_span(above))

    def _from_recorded(self, recorded: RecordedSpan, parent: Span | None) -> Span:
        span = self._add("span", recorded.id, parent, recorded.name, recorded.start_ns, recorded.end_ns)
        span.attributes.update(attributes_of(recorded.attributes))
        return span

    def _span_of(self, number: int | None) -> Span:
        recorded = None if number is None else self._recorded.get(number)
        return self._root if recorded is None else self._recorded_span(recorded)

    def _add_point(self, point: Point) -> None:
        """Add a point below its span; in a unique span, into a group of points of that name."""
        parent = self._span_of(point.span)
        if ":" not in parent.name:
            parent = self._group("points", (point.span, point.name), parent, point.name)
        span = self._add("point", point.id, parent, point.name, point.time_ns, point.time_ns)
        span.attributes.update(attributes_of(point.attributes))
        if point.flow:
            self._link(span, self._ids.trace("flow", point.flow), self._ids.span("flow point", point.id), "message")
        if point.link is not None:
            self._link(span, self._trace_id, self._ids.span("point", point.link), "follows")

    # machines

    def _is_chosen(self, number: int) -> bool:
        return number in self._machines and (self._wanted is None or number in self._wanted)

    def _machine_span(self, machine: RecordedMachine) -> Span:
        known = self._spans.get(("machine", machine.number))
        if known is not None:
            return known
        parent = None if machine.parent is None else self._machines.get(machine.parent)
        if machine.span is not None and machine.span in self._recorded:
            above = self._span_of(machine.span)
        elif parent is not None:
            above = self._machine_group(parent, "submachines")
        else:
            above = self._root
        name = f"mach:{machine.id}"
        span = self._add("machine", machine.number, above, name, machine.start_ns, machine.end_ns)
        span.attributes["id"] = machine.id
        span.attributes.update(attributes_of({"tags": " ".join(machine.tags) or None}))
        return span

    def _machine_group(self, machine: RecordedMachine, name: str) -> Span:
        span = self._group(name, machine.number, self._machine_span(machine), name)
        span.attributes["mach_id"] = machine.id
        return span

    # transitions

    def _add_transitions(self) -> Mapping[int, Span]:
        """Add the transitions of the selected machines; return the spans by number of the transition.

        A transition is linked with its cause: the one it was made in, or the previous one for an auto mutation.
        """
        operations = self._record.operations()
        handlers = self._record.handlers()
        made: dict[int, Span] = {}
        sources: list[tuple[Span, Origin]] = []
        before_it: dict[int, Span] = {}
        for transition, before, after in self._record.replay():
            operation = operations.get(transition.seq)
            start_ns = transition.time_ns if operation is None else operation.start_ns
            if not self._is_chosen(transition.machine) or not self._is_wanted(start_ns, transition.time_ns):
                continue
            span = self._transition_span(transition, start_ns, before, after, operation)
            made[transition.seq] = span
            self._transitions[Origin(transition.machine, transition.number)] = span.span_id
            self._add_handlers(span, transition, start_ns, handlers.get(transition.seq, ()))
            if transition.source is not None:
                sources.append((span, transition.source))
            elif transition.change.is_auto and transition.machine in before_it:
                self._link(span, self._trace_id, before_it[transition.machine].span_id, "auto")
            before_it[transition.machine] = span
        for span, source in sources:
            if source in self._transitions:
                self._link(span, self._trace_id, self._transitions[source], "source")
        self._add_logs(made)
        return made

    def _transition_span(
        self,
        transition: RecordedTransition,
        start_ns: int,
        before: tuple[int, ...],
        after: tuple[int, ...],
        operation: Operation | None,
    ) -> Span:
        machine, change = self._machines[transition.machine], transition.change
        group = self._machine_group(machine, "transitions")
        name = shown_label(transition)
        span = self._add("transition", transition.seq, group, name, start_ns, transition.time_ns)
        span.attributes.update(
            {
                "tx_id": self._record.tx_id(transition),
                "seq": transition.seq,
                "mutation": change.label,
                "time_before": sum(before),
                "states_diff": states_diff(machine, before, after) if change.moved else "",
                "time_after": sum(after),
                "accepted": change.accepted,
                "auto": change.is_auto,
            }
        )
        if change.is_check:
            span.attributes["check"] = True
        if not change.accepted:
            span.attributes["refused_by"] = change.refused_by
            span.attributes["reason"] = reason_text(transition)
        if transition.source is not None:
            span.attributes["source"] = self._record.tx_id(transition.source)
        span.error = error_text(transition, operation)
        if span.error:
            span.attributes["error"] = span.error
        if operation is not None:
            span.attributes["queue"] = operation.queue
            span.attributes["steps_count"] = len(operation.steps)
            span.attributes.update({f"args.{name}": value for name, value in operation.args.items()})
        return span

    def _add_handlers(
        self, above: Span, transition: RecordedTransition, start_ns: int, calls: Iterable[HandlerCall]
    ) -> None:
        for number, call in enumerate(calls):
            start, end = handler_times(call, transition, start_ns)
            span = self._add("handler", (call.seq, number), above, call.name, start, end)
            span.attributes.update(name=call.name, emitter=call.binding)

    def _add_logs(self, made: Mapping[int, Span]) -> None:
        """Add the log lines written during a transition to its span."""
        for line in self._record.logs():
            span = made.get(line.seq)
            if span is not None and line.is_inside:
                event = Event("log", self._start_ns + line.time_ns, {"level": line.level, "text": line.text})
                span.events.append(event)

    # states

    def _add_activations(self, by_seq: Mapping[int, Span]) -> None:
        """Add the activations of states; link them with the transitions that began and ended them."""
        for activation in self._record.activations():
            end_ns = activation.end_ns
            if not self._is_chosen(activation.machine) or not self._is_wanted(activation.start_ns, end_ns):
                continue
            span = self._activation_span(activation)
            begun_by = None if activation.seq is None else by_seq.get(activation.seq)
            ended_by = None if activation.end_seq is None else by_seq.get(activation.end_seq)
            if begun_by is not None:
                span.attributes["tx_id"] = begun_by.attributes["tx_id"]
                self._link(span, self._trace_id, begun_by.span_id, "began")
            if ended_by is not None:
                self._link(ended_by, self._trace_id, span.span_id, "ended")

    def _activation_span(self, activation: Activation) -> Span:
        machine, state = self._machines[activation.machine], activation.state
        group = self._group("state", (machine.number, state), self._machine_group(machine, "states"), state)
        end_ns = machine.end_ns if activation.end_ns is None else activation.end_ns
        number = (machine.number, state, activation.tick)
        span = self._add("activation", number, group, state, activation.start_ns, end_ns)
        span.attributes["tick"] = activation.tick
        if activation.end_seq is None:
            span.attributes["open"] = True
        return span

    # spans

    def _is_wanted(self, start_ns: int, end_ns: int | None) -> bool:
        return self._selection.covers(start_ns, max(start_ns, self._record_end_ns) if end_ns is None else end_ns)

    def _add(
        self, kind: Kind, number: object, parent: Span | None, name: str, start_ns: int, end_ns: int | None
    ) -> Span:
        """Add a span; one that has not ended lasts to the end of the record and is marked."""
        attributes: dict[str, Attribute] = {"open": True} if end_ns is None else {}
        end_ns = max(start_ns + SHORTEST_NS, self._record_end_ns if end_ns is None else end_ns)
        parent_id = "" if parent is None else parent.span_id
        span = Span(
            kind, self._trace_id, self._ids.span(kind, number), parent_id, name, self._start_ns + start_ns,
            self._start_ns + end_ns, self._service, attributes,
        )  # fmt: skip
        self._spans[kind, number] = span
        return span

    def _group(self, kind: str, number: object, parent: Span, name: str) -> Span:
        """Return a group: a span that only contains others and covers their times."""
        known = self._spans.get((kind, number))
        if known is None:
            span_id = self._ids.span(f"group {kind}", number)
            known = Span("group", self._trace_id, span_id, parent.span_id, name, _NEVER, 0, self._service)
            self._spans[kind, number] = known
        return known

    @staticmethod
    def _link(span: Span, trace_id: str, span_id: str, kind: str) -> None:
        span.links.append(Link(trace_id, span_id, kind))


_NEVER = 2**63
"""Initial start of a group, before its children are known."""


def started_ns(record: Record) -> int:
    """Return the Unix time of the record's time zero, in nanoseconds."""
    return int(str(record.run["started_unix_ns"]))


def shown_label(transition: RecordedTransition) -> str:
    """Return a transition's name: the mutation, marked if it was refused or a dry run."""
    change = transition.change
    marks = [mark for mark, holds in (("check", change.is_check), ("refused", not change.accepted)) if holds]
    return f"({', '.join(marks)}) {change.label}" if marks else change.label


def states_diff(machine: RecordedMachine, before: tuple[int, ...], after: tuple[int, ...]) -> str:
    """Return the states that became active and inactive, such as "+A -B"."""
    moved = [
        (now % 2, name)
        for name, was, now in zip(machine.state_names, before, after, strict=False)
        if was % 2 != now % 2
    ]
    return " ".join([f"+{name}" for on, name in moved if on] + [f"-{name}" for on, name in moved if not on])


def reason_text(transition: RecordedTransition) -> str:
    """Return why relations refused a mutation, such as "Foo requires Bar"; empty if they accepted it."""
    return "; ".join(f"{state} {why} {', '.join(others)}" for state, why, others in transition.change.reason)


def error_text(transition: RecordedTransition, operation: Operation | None) -> str:
    """Return the error a transition carries or ended with; its text is recorded from level "ops" on."""
    if operation is not None and operation.error:
        return operation.error
    change = transition.change
    if change.refused_by == "error":
        return "an error"
    return EXCEPTION if EXCEPTION in change.called and change.kind in ("add", "set") and not change.is_check else ""


def handler_times(call: HandlerCall, transition: RecordedTransition, start_ns: int) -> tuple[int, int]:
    """Return the start and end of a handler on the record's clock, within its transition.

    Handlers are timed on wall time; on a virtual clock transitions and handlers take no time.
    """
    offset = transition.time_ns - transition.wall_ns
    start, end = (min(max(at + offset, start_ns), transition.time_ns) for at in (call.start_ns, call.end_ns))
    return start, max(start, end)
