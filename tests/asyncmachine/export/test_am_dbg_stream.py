"""Tests of the live stream to am-dbg, against a server that decodes all it gets."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from asyncmachine import Machine, Schema, State
from asyncmachine.export.amdbg.from_record import messages_of
from asyncmachine.export.amdbg_stream import AmDbgError, AmDbgTracer
from asyncmachine.export.gob import decode
from asyncmachine.logs import LogLevel
from asyncmachine.pipes import bind
from asyncmachine.record import Record, Recorder
from tests.asyncmachine.export.debuggers import Debugger
from tests.asyncmachine.export.recorded_program import play

if TYPE_CHECKING:
    from collections.abc import Iterator

    from asyncmachine import Event
    from asyncmachine.tracing import Tracer

DATA = Path(__file__).parents[2] / "data/am-dbg"
Messages = list[dict[str, Any]]


class Toggle(Schema):
    A = State()


@pytest.fixture
def debugger() -> Iterator[Debugger]:
    with Debugger() as server:
        yield server


def unused_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"127.0.0.1:{taken.getsockname()[1]}"


def golden() -> tuple[dict[str, dict[str, Any]], dict[str, Messages]]:
    """What the Go program sent: schemas and transitions, by machine."""
    schemas, transitions = {}, {}
    for name in ("1.c2s", "2.c2s"):
        bodies = [message.value for message in decode((DATA / name).read_bytes())][1::2]
        schemas[bodies[0]["ID"]] = bodies[0]
        transitions[bodies[0]["ID"]] = bodies[1:]
    return schemas, transitions


# what differs from the golden stream, and why

SCHEMA_DIFFERENCES = {
    "Groups": "machines have no groups of states here",
    "GroupsOrder": "as Groups",
}
DIFFERENT_LINES = {
    "[tracers] bind": "no tracer writes that it was bound",
    "[handlers] bind": "written by the machine's own log only, with another name for the handlers",
    "[when:match]": "a wait is resolved inside the transition here, and after it in Go: the line belongs to another transition",
    "[cancel] (": "Go names all target states, here those that were called",
    "[state] -": "Go orders the states that are left by its own sorting, here they come in state order",
    "[error]": "an error comes with its class, and without a stack trace",
}
DIFFERENT_STEPS = {
    "require": "Go repeats every requirement it looks at; here only missing ones are steps",
    "remove": "Go also tells removals by states that lose, here only those that decide",
    "cancel": "Go also cancels the missing state; here the called states of every refused transition are cancelled",
    "activate": "Go tells what relations will refuse, and not that a Multi state is entered again; repetitions are left out",
}
ERROR_ARGUMENT = "an error comes with its class: 'RuntimeError: boom' for 'boom'"


def comparable(message: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    """Return a message without what is known to differ; transitions are numbered, since ids are random in Go."""
    kept = {**message, "ID": numbered(message["ID"], names)}
    for field in ("LogEntries", "PreLogEntries"):
        lines = [(entry["Level"], source(entry["Text"], names)) for entry in message.get(field, ())]
        kept[field] = [line for line in lines if not line[1].startswith(tuple(DIFFERENT_LINES))]
    kept["Steps"] = {
        step for step in map(step_text, message.get("Steps", ())) if step.split()[0] not in DIFFERENT_STEPS
    }
    if "err" in kept.get("Args", {}):
        kept["Args"] = {**kept["Args"], "err": kept["Args"]["err"].split(": ")[-1]}
    return kept


def numbered(tx: str, names: dict[str, str]) -> str:
    if len(tx) == 16:
        return names.setdefault(tx, f"tx {len(names)}")
    last, _, number = tx.rpartition("-")
    return f"{names[last] if last else ''}-{number}"


def source(text: str, names: dict[str, str]) -> str:
    if not text.startswith("[source]"):
        return text
    machine, tx, time = text.removeprefix("[source] ").split("/")
    return f"[source] {machine}/{names[tx]}/{time}"


def step_text(step: dict[str, Any]) -> str:
    """Return a step as words; all fields of it are in them."""
    kinds = {1: ("after", "add", "require", "remove")[step.get("RelType", 0)]}
    kind = (
        kinds.get(step["Type"])
        or {2: "handler", 4: "activate", 8: "deactivate", 16: "missing", 32: "called", 64: "cancel"}[step["Type"]]
    )
    rest = {key: value for key, value in step.items() if key not in ("Type", "RelType")}
    return f"{kind} {sorted(rest.items())}"


def test_our_stream_agrees_with_the_golden_one(debugger: Debugger) -> None:
    """The same little program sends what the Go library sent, field by field, but for what is listed above."""
    with AmDbgTracer(debugger.address) as tracer:
        play([tracer])
    assert (tracer.sent, tracer.dropped, tracer.failure) == (28, 0, None)
    schemas, transitions = golden()
    for machine, schema in schemas.items():
        ours = debugger.schemas()[machine]
        assert ours == {name: value for name, value in schema.items() if name not in SCHEMA_DIFFERENCES}
    theirs_named: dict[str, str] = {}
    ours_named: dict[str, str] = {}
    for machine, messages in transitions.items():
        theirs = [comparable(message, theirs_named) for message in messages]
        mine = [comparable(message, ours_named) for message in debugger.messages()[machine]]
        assert mine == theirs


def test_every_listed_difference_exists() -> None:
    """Nothing is excused that does not differ."""
    with Debugger() as server, AmDbgTracer(server.address) as tracer:
        play([tracer])
        tracer.close()
        ours = server.messages()
    schemas, theirs = golden()
    assert set(SCHEMA_DIFFERENCES) == schemas["parent"].keys() - server.schemas()["parent"].keys()
    pairs = [pair for machine, messages in theirs.items() for pair in zip(messages, ours[machine], strict=True)]
    for prefix in DIFFERENT_LINES:
        assert any(texts_of(go, prefix) != texts_of(py, prefix) for go, py in pairs), prefix
    for kind in DIFFERENT_STEPS:
        assert any(steps_of(go, kind) != steps_of(py, kind) for go, py in pairs), kind


def texts_of(message: dict[str, Any], prefix: str) -> list[str]:
    lines = [*message.get("PreLogEntries", ()), *message.get("LogEntries", ())]
    return [line["Text"] for line in lines if line["Text"].startswith(prefix)]


def steps_of(message: dict[str, Any], kind: str) -> list[str]:
    return [step for step in map(step_text, message.get("Steps", ())) if step.startswith(kind)]


@pytest.mark.parametrize("log_level", [LogLevel.NOTHING, LogLevel.OPS, LogLevel.EVERYTHING])
def test_the_stream_and_a_dump_tell_the_same(log_level: LogLevel, debugger: Debugger, tmp_path: Path) -> None:
    """What is streamed is what a record of the same run gives, but for the times; with the machines' own log lines or without."""
    with (
        Recorder(tmp_path / "run.sqlite", level="full", log=bool(log_level)) as recorder,
        AmDbgTracer(debugger.address) as tracer,
    ):
        play([recorder, tracer], log_level=log_level)
    with Record.open(tmp_path / "run.sqlite") as record:
        recorded = {told.schema["ID"]: told for told in messages_of(record)}
    for told in recorded.values():
        for message in told.transitions:
            del message["Time"]
    assert {machine: told.transitions for machine, told in recorded.items()} == debugger.messages()
    assert {machine: told.schema for machine, told in recorded.items()} == debugger.schemas()


class Busy:
    def AEnter(self, event: Event) -> bool:
        event.machine.can_add("B")
        return True

    def BEnter(self, event: Event) -> bool:
        return not event.is_check

    def AA(self, event: Event) -> bool:
        return True

    def AB(self, event: Event) -> bool:
        return True

    def AExit(self, event: Event) -> None: ...

    def AEnd(self, event: Event) -> None:
        raise ValueError("end")

    def AnyEnter(self, event: Event) -> None: ...

    def CState(self, event: Event) -> None:
        raise ValueError("late")


def test_handlers_checks_and_errors_are_told_alike(debugger: Debugger, tmp_path: Path) -> None:
    """Every kind of handler, dry runs, errors, waits and pipes: the stream and the record still tell the same."""
    schema = {
        "A": {"multi": True},
        "B": {},
        "C": {"add": ["D"]},
        "D": {},
        "E": {"remove": ["A"]},
        "F": {"after": ["E"]},
    }

    async def main(*tracers: Tracer) -> None:
        machine = Machine(schema, id="m", handlers=Busy(), tracers=tracers)
        other = Machine({"A": {}}, id="o", parent=machine)
        context = machine.state_ctx("A")
        for states in (["A"], ["A", "B"], ["B"], ["C"], ["E", "F"], ["A"], ["E"]):
            machine.add(*states)
            machine.remove("A")
        machine.set("B")
        machine.can_remove("B")
        wait = machine.when_not("B")
        bind(machine, other, "B", "A")
        machine.fork(asyncio.sleep(0))
        machine.set("E")
        await wait
        assert context is not None

    with Recorder(tmp_path / "run.sqlite", level="full") as recorder, AmDbgTracer(debugger.address) as tracer:
        asyncio.run(main(recorder, tracer))
    with Record.open(tmp_path / "run.sqlite") as record:
        told = {one.schema["ID"]: one.transitions for one in messages_of(record)}
        refused = [t for t in record.transitions() if t.change.refused_by == "error"]
    for messages in told.values():
        for message in messages:
            del message["Time"]
    assert refused
    assert told == debugger.messages()
    kinds = {step["Type"] for message in told["m"] for step in message.get("Steps", ())}
    assert kinds >= {1, 2, 4, 8, 32, 64}


# what a stream does


def test_each_machine_has_a_connection_and_children_are_followed(debugger: Debugger) -> None:
    """Machines that exist, new ones and their children each have a connection, which begins with the schema."""
    older = Machine(Toggle, id="older")
    older.add("A")
    with AmDbgTracer(debugger.address) as tracer:
        older.bind_tracer(tracer)
        child = Machine(Toggle, id="child", parent=older, tags=["x"])
        child.add("A")
        older.remove("A")
    assert [calls[0][1]["ID"] for calls in debugger.calls] == ["older", "child"]
    assert debugger.schemas()["child"]["Parent"] == "older"
    assert [len(calls) for calls in debugger.calls] == [3, 3]
    assert debugger.messages()["older"][-1]["Clocks"] == [0, 2]


def test_a_schema_that_grows_is_sent_again(debugger: Debugger) -> None:
    """New states are introduced before they are used."""
    with AmDbgTracer(debugger.address) as tracer:
        machine = Machine({"A": {}}, id="m", tracers=[tracer])
        machine.set_schema({"Exception": {"multi": True}, "A": {}, "B": {}})
        machine.add("B")
    methods = [method.removeprefix("RPCServer.DbgMsg") for method, _ in debugger.calls[0]]
    assert methods == ["Schema", "Schema", "Tx", "Tx"]
    assert debugger.messages()["m"][-1]["CalledStatesIdxs"] == [2]


class BindsLate:
    def __init__(self, tracer: AmDbgTracer) -> None:
        self.tracer = tracer

    def AEnter(self, event: Event) -> None:
        event.machine.bind_tracer(self.tracer)

    def AState(self, event: Event) -> None: ...


def test_a_tracer_may_be_bound_in_the_middle_of_a_transition(debugger: Debugger) -> None:
    """What is known of the transition is sent when it ends; log lines below OPS do not replace ours."""
    with AmDbgTracer(debugger.address) as tracer:
        machine = Machine(Toggle, id="m", handlers=BindsLate(tracer), log_level=LogLevel.CHANGES)
        machine.add("A")
        machine.remove("A")
    first, _, last = debugger.messages()["m"]
    assert (first["Clocks"], last["Clocks"]) == ([0, 1], [0, 2])
    assert [line["Text"] for line in last["LogEntries"]] == ["[remove] A", "[state] -A"]


class Waits:
    def __init__(self, tracer: AmDbgTracer) -> None:
        self.tracer = tracer

    def AState(self, event: Event) -> None:
        while self.tracer.failure is None:
            pass


def test_an_end_in_the_middle_of_a_transition_does_no_harm() -> None:
    """When the stream ends while a handler runs, the transition ends as if nobody had looked."""
    with AmDbgTracer(unused_address()) as tracer:
        machine = Machine(Toggle, id="m", handlers=Waits(tracer), tracers=[tracer])
        assert machine.add("A").executed
        assert machine.remove("A").executed
    assert (machine.tick("A"), tracer.sent) == (2, 0)
    later = Machine(Toggle, id="later", tracers=[tracer])
    later.add("A")
    assert later.tick("A") == 1


def test_a_disposed_machine_lets_go_of_its_connection(debugger: Debugger) -> None:
    """What a machine did is still sent when it is disposed, and so is what one did that is merely forgotten."""
    with AmDbgTracer(debugger.address) as tracer:
        machine = Machine(Toggle, id="disposed", tracers=[tracer])
        machine.add("A")
        machine.dispose()
        Machine(Toggle, id="forgotten", tracers=[tracer]).add("A")
    assert {name: len(messages) for name, messages in debugger.messages().items()} == {"disposed": 2, "forgotten": 2}


def test_what_does_not_fit_is_dropped_and_counted(debugger: Debugger, caplog: pytest.LogCaptureFixture) -> None:
    """While am-dbg is slow the machine goes on; what the queue cannot hold is counted, and one warning tells of it."""
    debugger.hold()
    with AmDbgTracer(debugger.address, limit=10) as tracer, caplog.at_level(logging.WARNING, "asyncmachine"):
        machine = Machine(Toggle, id="m", tracers=[tracer])
        for _ in range(50):
            machine.add("A")
            machine.remove("A")
        debugger.go_on()
        tracer.close()
    assert machine.tick("A") == 100
    assert (tracer.sent + tracer.dropped, tracer.failure) == (201, None)
    assert tracer.dropped in (190, 191)  # the queue held ten, the schema perhaps among them
    assert len(debugger.messages()["m"]) == tracer.sent - 1
    assert [record.getMessage() for record in caplog.records] == [
        f"[am-dbg] {debugger.address}: {tracer.dropped} messages did not fit into the queue"
    ]


def test_nobody_listens(caplog: pytest.LogCaptureFixture) -> None:
    """Where nobody listens, one warning says so, `failure` keeps it, and the run goes on as if nobody looked."""
    address = unused_address()
    with caplog.at_level(logging.WARNING, "asyncmachine"), AmDbgTracer(address) as tracer:
        machine = Machine(Toggle, id="m", tracers=[tracer])
        while tracer.failure is None:
            machine.toggle("A")
        ticks = machine.tick("A")
        machine.toggle("A")
        machine.toggle("A")
        Machine(Toggle, id="later", tracers=[tracer]).add("A")
    assert machine.tick("A") == ticks + 2
    assert isinstance(tracer.failure, AmDbgError)
    assert (tracer.failure.address, tracer.failure.reason) == (address, "Connection refused")
    assert str(tracer.failure) == f"am-dbg at {address}: Connection refused"
    assert tracer.sent == 0
    assert tracer.dropped > 0
    assert [record.getMessage() for record in caplog.records] == [
        f"[am-dbg] {address}: Connection refused; the machines continue without it"
    ]


@pytest.mark.parametrize(
    ("server", "reasons"),
    [
        ({"closes_after": 2}, ["it closed the connection", "Connection reset by peer"]),
        ({"error": "rpc: can't find method"}, ["rpc: can't find method"]),
    ],
)
def test_am_dbg_goes_away_or_refuses(
    server: dict[str, Any], reasons: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """An end of the stream is told once; what could not be sent is counted."""
    with Debugger(**server) as debugger, caplog.at_level(logging.WARNING, "asyncmachine"):
        with AmDbgTracer(debugger.address) as tracer:
            machine = Machine(Toggle, id="m", tracers=[tracer])
            for _ in range(3):
                machine.toggle("A")
        assert machine.tick("A") == 3
        assert tracer.failure is not None
        assert tracer.failure.reason in reasons
        assert tracer.sent + tracer.dropped == 7
        assert len(caplog.records) == 1


def test_a_server_that_speaks_something_else_is_told() -> None:
    """Bytes that are no answer end the stream with the reason."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(10)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n" + b" " * 100)
                while connection.recv(1000):
                    pass

        thread = threading.Thread(target=answer)
        thread.start()
        with AmDbgTracer(f"127.0.0.1:{listener.getsockname()[1]}") as tracer:
            Machine(Toggle, id="m", tracers=[tracer]).add("A")
        thread.join()
    assert tracer.failure is not None
    assert "not a gob stream" in tracer.failure.reason


def test_close_waits_no_longer_than_asked(debugger: Debugger) -> None:
    """When am-dbg answers no more, closing ends at its time limit, and says that something was left."""
    debugger.hold()
    tracer = AmDbgTracer(debugger.address)
    machine = Machine(Toggle, id="m", tracers=[tracer])
    machine.add("A")
    tracer.close(timeout_s=0.05)
    tracer.close()
    machine.remove("A")
    assert (tracer.sent, tracer.dropped) == (0, 3)
    assert tracer.failure is not None
    assert tracer.failure.reason == "not all messages could be sent within 0.05 s"


def test_a_tracer_that_saw_nothing_needs_nobody() -> None:
    """Without machines nothing is connected and nothing fails."""
    with AmDbgTracer("127.0.0.1:1") as tracer:
        pass
    assert (tracer.sent, tracer.dropped, tracer.failure) == (0, 0, None)


@pytest.mark.parametrize("address", ["", "localhost", ":6831", "localhost:x", "localhost:70000"])
def test_an_address_has_a_port(address: str) -> None:
    """An address that names no host and port is refused at once."""
    with pytest.raises(ValueError, match="an address must be a host and a port"):
        AmDbgTracer(address)
