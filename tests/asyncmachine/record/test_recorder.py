"""What a recorder writes down is what its machines did, and recording changes nothing for them."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import sqlite3
import weakref
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncmachine import Event, LogLevel, Machine, Schema, State, Tracer, Transition, pipes
from asyncmachine.record import Record, Recorder, UnwritableRecordError
from asyncmachine.record.recorder import KEYFRAME_EVERY
from tests.asyncmachine.followers import Follower
from tests.asyncmachine.programs import KINDS, Interruption, Program, handlers, programs

LEVELS = ("changes", "ops", "full")
STATES: dict[str, Any] = {"A": {}, "B": {"require": ["A"]}, "M": {"multi": True}}


class Heard(Tracer):
    """Keeps of each transition what a record has to hold, and all clocks afterwards."""

    def __init__(self) -> None:
        self.kept: list[tuple[Any, ...]] = []

    def transition_end(self, tx: Transition) -> None:
        mutation, source = tx.mutation, tx.mutation.source
        self.kept.append((
            tx.id, mutation.kind, mutation.called, mutation.is_auto, mutation.is_check, tx.accepted, tx.canceled_by,
            None if source is None else source.tx_id, tx.before, tx.after,
        ))  # fmt: skip


def told(record: Record) -> list[tuple[Any, ...]]:
    """Give the transitions of a record in the form that `Heard` keeps."""
    return [
        (
            record.tx_id(one), one.change.kind, one.change.called, one.change.is_auto, one.change.is_check,
            one.change.accepted, one.change.refused_by, None if one.source is None else record.tx_id(one.source), before,
            after,
        )
        for one, before, after in record.replay()
    ]  # fmt: skip


def raw(path: Path, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(path) as file:
        return file.execute(query).fetchall()


def test_three_lines_record_a_program(tmp_path: Path) -> None:
    """Without an event loop; the record is one plain file that opens with any SQLite."""
    with Recorder(tmp_path / "run.sqlite") as recorder:
        machine = Machine(STATES, id="m", tracers=[recorder])
        machine.add("A")
        machine.add("B")
    assert [path.name for path in tmp_path.iterdir()] == ["run.sqlite"]
    assert raw(tmp_path / "run.sqlite", "select machine, kind, called, moved from readable order by seq") == [
        ("m", "add", '["A"]', '{"A":1}'),
        ("m", "add", '["B"]', '{"B":1}'),
    ]


@pytest.mark.parametrize("level", LEVELS)
@settings(max_examples=60, deadline=None)
@given(program=programs(), data=st.data())
def test_a_record_holds_every_transition(
    level: Any, program: Program, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of random programs with vetoes, errors, interruptions and nested mutations: what another tracer heard, tick by tick."""
    path = tmp_path_factory.getbasetemp() / f"random-{level}.sqlite"
    heard = Heard()
    logging.disable()
    try:
        with Recorder(path, level, batch=data.draw(st.sampled_from([1, 3, 1000]))) as recorder:
            machine = Machine(program.schema, id="m", handlers=handlers(program), tracers=[heard, recorder])
            names = list(program.schema)
            steps = data.draw(
                st.lists(st.tuples(st.sampled_from([*KINDS, "can_add"]), st.sampled_from(names)), max_size=12)
            )
            for kind, state in steps:
                try:
                    getattr(machine, kind)(state)
                except Interruption:
                    continue
            machine.dispose()
    finally:
        logging.disable(logging.NOTSET)
    with Record.open(path) as record:
        assert told(record) == heard.kept


def test_sources_are_recorded_across_machines(tmp_path: Path) -> None:
    """The transition a mutation was made in, also of a machine that is not recorded."""

    class Leading:
        def AState(self, e: Event) -> None:
            e.add("B")

    with Recorder(tmp_path / "run.sqlite") as recorder:
        follower = Machine(STATES, id="follower", tracers=[recorder])
        leader = Machine(STATES, id="leader", handlers=Leading(), tracers=[recorder])
        outsider = Machine(STATES, id="outsider")
        pipes.add(leader, follower, "B", "A")
        pipes.add(outsider, follower, "A", "M")
        leader.add("A")
        outsider.add("A")
    with Record.open(tmp_path / "run.sqlite") as record:
        causes = {record.tx_id(one): one.source and record.tx_id(one.source) for one in record.transitions()}
        assert causes == {
            "leader-2": None,
            "leader-3": "leader-2",
            "follower-2": "leader-3",
            "follower-3": "outsider-2",
        }
        assert [machine.id for machine in record.machines] == ["follower", "leader"]
        assert record.machine("outsider").number < 0


def test_children_of_recorded_machines_are_recorded(tmp_path: Path) -> None:
    """With their parent; and a machine that exists can be put under a span."""
    with Recorder(tmp_path / "run.sqlite") as recorder:
        host = recorder.span("host:1")
        parent = Machine(STATES, id="parent")
        parent.add("A")
        recorder.bind(parent, host)
        recorder.bind(parent)
        child = Machine(STATES, id="child", parent=parent, tags=["x:1"])
        grandchild = Machine(STATES, id="grandchild", parent=child)
        grandchild.add("A")
        host.end()
    with Record.open(tmp_path / "run.sqlite") as record:
        found = {one.id: (one.number, one.parent, one.span, one.tags, one.start_ticks) for one in record.machines}
        assert found == {
            "parent": (0, None, 1, (), (0, 1, 0, 0)),
            "child": (1, 0, None, ("x:1",), (0, 0, 0, 0)),
            "grandchild": (2, 1, None, (), (0, 0, 0, 0)),
        }
        assert [record.tx_id(one) for one in record.transitions()] == ["grandchild-2"]


def test_a_recorder_keeps_no_machine_alive(tmp_path: Path) -> None:
    """Machines that were dropped are gone once what they did is written."""
    with Recorder(tmp_path / "run.sqlite") as recorder:
        machine = Machine(STATES, tracers=[recorder])
        machine.add("A")
        reference = weakref.ref(machine)
        del machine
        recorder.flush()
        gc.collect()
        assert reference() is None
        for number in range(50):  # new machines, perhaps at the address of the old one
            Machine(STATES, id=f"n{number}", tracers=[recorder]).add("A")
            gc.collect()
    with Record.open(tmp_path / "run.sqlite") as record:
        assert [record.machine(one.machine).id for one in record.transitions()][1:] == [f"n{n}" for n in range(50)]


def test_the_end_of_a_machine_is_recorded(tmp_path: Path) -> None:
    """With its last clocks; the machine is gone from then on."""
    with Recorder(tmp_path / "run.sqlite") as recorder:
        machine, other = (Machine(STATES, id=name, tracers=[recorder]) for name in "mo")
        machine.add("A")
        machine.dispose()
        other.add("A")
    with Record.open(tmp_path / "run.sqlite") as record:
        ended = record.machine("m")
        assert ended.end_ns is not None
        assert ended.end_ticks == (0, 1, 0, 0)
        assert record.clocks() == {"o": {"Exception": 0, "A": 1, "B": 0, "M": 0}}
        assert record.clocks(seq=1)["m"]["A"] == 1


def test_a_schema_that_grows_is_recorded(tmp_path: Path) -> None:
    """Transitions before and after it are told in its states."""

    class Small(Schema):
        A = State()

    class Large(Small):
        Z = State()

    with Recorder(tmp_path / "run.sqlite") as recorder:
        machine = Machine(Small, id="m", tracers=[recorder])
        machine.add("A")
        machine.set_schema(Large)
        machine.add("Z")
    with Record.open(tmp_path / "run.sqlite") as record:
        assert record.machine("m").state_names == machine.state_names
        assert [after for _, _, after in record.replay()] == [(0, 1, 0), (0, 1, 1)]
        assert record.clocks() == {"m": dict(zip(machine.state_names, machine.time(), strict=True))}


def test_clocks_are_known_at_any_transition(tmp_path: Path) -> None:
    """Across keyframes, with a machine that ended before one and one that began after it."""
    expected: dict[int, dict[str, tuple[int, ...]]] = {}
    with Recorder(tmp_path / "run.sqlite") as recorder:
        early, late = Machine(STATES, id="early", tracers=[recorder]), Machine(STATES, id="late", tracers=[recorder])
        early.add("A")
        while recorder.next_seq < 2 * KEYFRAME_EVERY:
            late.toggle("A")
            if recorder.next_seq == 100:
                early.add("M")
                early.dispose()
            if recorder.next_seq == KEYFRAME_EVERY + 500:
                newest = Machine(STATES, id="newest", tracers=[recorder])
                newest.add("A")
            if recorder.next_seq % 977 == 0:
                alive = [m for m in (early, late) if not m.is_disposed]
                alive += [newest] if recorder.next_seq > KEYFRAME_EVERY + 500 else []
                expected[recorder.next_seq - 1] = {m.id: m.time() for m in alive}
    with Record.open(tmp_path / "run.sqlite") as record:
        assert len(raw(record.path, "select distinct seq from keyframes")) == 1
        assert len(expected) == 8
        for seq, clocks in expected.items():
            assert {name: tuple(clock.values()) for name, clock in record.clocks(seq=seq).items()} == clocks


def test_a_keyframe_leaves_out_what_has_not_ended(tmp_path: Path) -> None:
    """A machine in the middle of a transition is written with the ticks before it."""

    class Nested:
        def AState(self, e: Event) -> None:
            for _ in range(KEYFRAME_EVERY):
                inner.toggle("A")
            recorder.flush()

    with Recorder(tmp_path / "run.sqlite", batch=KEYFRAME_EVERY) as recorder:
        inner = Machine(STATES, id="inner", tracers=[recorder])
        outer = Machine(STATES, id="outer", handlers=Nested(), tracers=[recorder])
        outer.add("A")
    with Record.open(tmp_path / "run.sqlite") as record:
        assert record.clocks(seq=KEYFRAME_EVERY)["outer"]["A"] == 0
        assert record.clocks()["outer"]["A"] == 1
        assert dict(raw(record.path, "select machine, ticks from keyframes"))[1] == "[0,0,0,0]"


def test_a_limit_keeps_the_last_transitions(tmp_path: Path) -> None:
    """And says how many it dropped; clocks are right from the first one kept on."""
    with Recorder(tmp_path / "run.sqlite", "full", limit=50, batch=7, log=True) as recorder:
        machine = Machine(STATES, id="m", tracers=[recorder], log_level=LogLevel.OPS)
        for _ in range(100):
            machine.toggle("A")
            machine.add("M")
    assert recorder.dropped == 150
    with Record.open(tmp_path / "run.sqlite") as record:
        assert (record.run["dropped"], record.first_seq, record.last_seq) == (150, 151, 200)
        ((first, before, _), *_) = record.replay()
        assert (first.seq, before) == (151, (0, 75, 0, 149))
        assert record.clocks()["m"] == dict(zip(machine.state_names, machine.time(), strict=True))
        assert record.clocks(seq=170)["m"]["A"] == 85
        assert {one.state: one.tick for one in record.activations() if one.seq is None} == {"A": 75, "M": 149}
        tables = ("operations", "queued", "logs")
        assert all(raw(record.path, f"select min(seq) from {table}")[0][0] > 150 for table in tables)


def test_arguments_are_recorded_as_far_as_the_machine_lets_them(tmp_path: Path) -> None:
    """Not at all at level "changes"; through `log_args` from "ops" on."""
    for level in LEVELS:
        path = tmp_path / f"{level}.sqlite"
        with Recorder(path, level, log=True) as recorder:  # type: ignore[arg-type]  # a name of a level
            machine = Machine(STATES, tracers=[recorder], log_level=LogLevel.EVERYTHING)
            machine.add("A", name="harmless", password="hunter2")
        content = path.read_bytes()
        assert b"hunter2" not in content
        with Record.open(path) as record:
            args = [operation.args for operation in record.operations().values()]
            assert args == ([] if level == "changes" else [{"name": "harmless"}])


def test_level_ops_tells_queue_handlers_and_errors(tmp_path: Path) -> None:
    """What waited, what ran in which transition, and what went wrong."""

    class Handlers:
        def AEnter(self, e: Event) -> bool:
            return True

        def AState(self, e: Event) -> None:
            e.add("B")
            e.add("M", id="5")
            other.add("A")  # a transition of another machine inside this one

        def MState(self, e: Event) -> None:
            raise ValueError("no such thing")

    with Recorder(tmp_path / "run.sqlite", "ops") as recorder:
        other = Machine(STATES, id="other", tracers=[recorder])
        machine = Machine(STATES, id="m", handlers=Handlers(), tracers=[recorder])
        machine.add("A")
    with Record.open(tmp_path / "run.sqlite") as record:
        ids = {one.seq: record.tx_id(one) for one in record.transitions()}
        assert list(ids.values()) == ["other-2", "m-2", "m-3", "m-4", "m-p1"]
        ran = {ids[seq]: [call.name for call in calls] for seq, calls in record.handlers().items()}
        assert ran == {"m-2": ["AEnter", "AState"], "m-4": ["MState"]}
        operations = {ids[seq]: operation for seq, operation in record.operations().items()}
        assert {name: operation.queue for name, operation in operations.items()} == {
            "other-2": 0, "m-2": 0, "m-3": 1, "m-4": 0, "m-p1": 0,
        }  # fmt: skip
        assert operations["m-4"].args == {"id": "5"}
        errors = {name: operation.error for name, operation in operations.items() if operation.error}
        assert errors == {"m-4": "ValueError: no such thing", "m-p1": "ValueError: no such thing"}
        waited = [(one.kind, one.called, one.queue, one.source and record.tx_id(one.source)) for one in record.queued()]
        assert waited == [
            ("add", ("A",), 0, None),
            ("add", ("B",), 0, "m-2"),
            ("add", ("M",), 1, "m-2"),
            ("add", ("A",), 0, None),
            ("add", ("Exception",), 0, "m-4"),
        ]
        for calls in record.handlers().values():
            assert all(call.start_ns <= call.end_ns for call in calls)
        times = {one.seq: one.wall_ns for one in record.transitions()}
        assert all(operation.start_ns <= times[seq] for seq, operation in record.operations().items())


def test_level_full_tells_steps_and_waits(tmp_path: Path) -> None:
    """The steps of the negotiation, and who waits for what."""
    path = tmp_path / "run.sqlite"

    async def main() -> None:
        with Recorder(path, "full") as recorder:
            machine = Machine({**STATES, "C": {"remove": ["A"], "add": ["M"]}}, id="m", tracers=[recorder])
            waiting = machine.when("A")
            machine.add("A")
            await waiting
            machine.add("C")
            machine.add("B")

    asyncio.run(main())
    with Record.open(path) as record:
        steps = [[" ".join(filter(None, step)) for step in one.steps] for one in record.operations().values()]
        assert steps == [
            ["called A", "activate A"],
            ["called C", "relation C A remove", "relation C M add", "activate C", "activate M", "deactivate A"],
            ["called B", "missing B A require", "cancel B"],
        ]
        assert [wait.kind for wait in record.waits()] == ["new", "match"]


def test_log_lines_belong_to_their_transitions(tmp_path: Path) -> None:
    """Lines of a transition inside it, others before the next one; none without the switch."""
    for log in (False, True):
        with Recorder(tmp_path / "run.sqlite", "ops", log=log) as recorder:
            machine = Machine(STATES, id="m", tracers=[recorder], log_level=LogLevel.CHANGES)
            machine.log("hello")
            machine.add("A")
            machine.log("between")
            machine.add("B")
        with Record.open(tmp_path / "run.sqlite") as record:
            lines = [(line.seq, line.is_inside, line.text) for line in record.logs()]
        expected = [
            (1, False, "[m] [exter] hello"),
            (1, True, "[m] [state] +A"),
            (2, False, "[m] [exter] between"),
            (2, True, "[m] [state] +B"),
        ]
        assert lines == (expected if log else [])


def test_spans_and_points_stand_beside_machines(tmp_path: Path) -> None:
    """Nested spans with facts, points in flows, spans that have not ended, and errors that end one."""
    with Recorder(tmp_path / "run.sqlite", attributes={"seed": 7}) as recorder:
        run = recorder.span("run", size=3)
        with run.span("phase") as phase:
            first = phase.point("publish", flow="x", data=b"\xff")
            recorder.point("deliver", phase, flow="x", link=first)
        with pytest.raises(KeyError), run.span("failing"):
            raise KeyError("lost")
        run.span("open")
        run.end(size=4, result="ok")
        run.end(size=5)
    with Record.open(tmp_path / "run.sqlite") as record:
        spans = {span.name: span for span in record.spans()}
        assert spans["run"].attributes == {"size": 4, "result": "ok"}
        assert spans["failing"].attributes == {"error": "KeyError: 'lost'"}
        assert spans["phase"].parent == spans["run"].id
        assert spans["open"].end_ns is None
        assert [(point.name, point.flow, point.link, point.span) for point in record.points()] == [
            ("publish", "x", None, 2),
            ("deliver", "x", 1, 2),
        ]
        assert record.run["attributes"] == {"seed": 7}


def test_loop_time_is_stored_where_it_differs(tmp_path: Path) -> None:
    """Times of a record are then those of the loop, unless wall time is asked for."""
    moments = iter(range(0, 10**6, 1000))
    with Recorder(tmp_path / "run.sqlite", loop_time_ns=lambda: next(moments)) as recorder:
        machine = Machine(STATES, tracers=[recorder])
        machine.add("A")
        machine.add("B")
    with Record.open(tmp_path / "run.sqlite") as record:
        assert record.clock == "loop"
        assert [one.time_ns for one in record.transitions()] == [1000, 2000]
    with Record.open(tmp_path / "run.sqlite", "wall") as record:
        assert all(one.time_ns == one.wall_ns for one in record.transitions())


def test_a_running_loop_has_rows_written_soon(tmp_path: Path) -> None:
    """Whoever follows the file sees what happened although no batch is full."""

    async def main() -> None:
        with Recorder(tmp_path / "run.sqlite") as recorder, Record.open(tmp_path / "run.sqlite") as follower:
            Machine(STATES, tracers=[recorder]).add("A")
            while not follower.last_seq:  # noqa: ASYNC110  # another connection sees it: nobody here sets an event
                await asyncio.sleep(0.01)
            follower.refresh()
            assert [one.change.called for one in follower.transitions()] == [("A",)]

    asyncio.run(asyncio.wait_for(main(), 30))


def test_odd_texts_are_recorded(tmp_path: Path) -> None:
    """Ids and names of any characters, lone surrogates escaped."""
    with Recorder(tmp_path / "run.sqlite", "full", log=True) as recorder:
        machine = Machine({"Ünïcode": {}}, id="a\ud800;--", tracers=[recorder], log_level=5, tags=["t\x00"])
        machine.add("Ünïcode")
        recorder.point("p\ud800", flow="\ud800", text="\ud800")
    with Record.open(tmp_path / "run.sqlite") as record:
        assert [m.id for m in record.machines] == ["a\\ud800;--"]
        assert next(record.transitions()).change.moved == {"Ünïcode": 1}


@pytest.mark.parametrize("moment", ["in a batch", "at the end"])
def test_a_full_disk_ends_the_recording_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, moment: str
) -> None:
    """One warning; what was written stays whole, and the record says that it is not complete."""
    path = tmp_path / "run.sqlite"
    recorder = Recorder(path, batch=100 if moment == "in a batch" else 10_000)
    machine = Machine(STATES, id="m", tracers=[recorder])
    for _ in range(100):
        machine.toggle("A")
    recorder.flush()
    (pages,) = recorder._writer.execute("pragma page_count")[0]
    recorder._writer.execute(f"pragma max_page_count = {pages + 1}")
    with caplog.at_level(logging.WARNING, "asyncmachine"):
        for _ in range(2000):
            machine.toggle("A")
        recorder.close()
    assert machine.tick("A") == 2100
    assert [line.levelname for line in caplog.records] == ["WARNING"]
    assert "recording stopped" in caplog.text
    assert isinstance(recorder.failure, sqlite3.Error)
    assert recorder.lost > 0
    assert not machine._observers.tracers
    with Record.open(path) as record:
        assert record.last_seq >= 100
        assert record.run["failure"]
        assert record.run["lost"] == recorder.lost
        assert [after for _, _, after in record.replay()] == [(0, n, 0, 0) for n in range(1, record.last_seq + 1)]


def test_a_record_is_replaced_and_nothing_else_is(tmp_path: Path) -> None:
    """Running a program again replaces its record; a file of another kind is left as it is."""
    for count in (1, 2):
        with Recorder(tmp_path / "run.sqlite") as recorder:
            machine = Machine(STATES, tracers=[recorder])
            for _ in range(count):
                machine.add("M")
    with Record.open(tmp_path / "run.sqlite") as record:
        assert record.last_seq == 2
    for content in (b"", b"precious", b"SQLite format 3\0" + bytes(200)):
        (tmp_path / "other").write_bytes(content)
        with pytest.raises(UnwritableRecordError, match="is not a record"):
            Recorder(tmp_path / "other")
        assert (tmp_path / "other").read_bytes() == content
    with pytest.raises(UnwritableRecordError, match="cannot be created"):
        Recorder("/proc/nowhere/run.sqlite")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"level": "all"}, "level must be one of changes, ops, full, got 'all'"),
        ({"batch": 0}, "batch must be an integer of at least 1, got 0"),
        ({"limit": -1}, "limit must be an integer of at least 1, got -1"),
        ({"batch": True}, "batch must be an integer of at least 1, got True"),
    ],
)
def test_a_wrong_option_is_refused_before_a_file_is_made(tmp_path: Path, options: Any, text: str) -> None:
    """One sentence that names the value."""
    with pytest.raises(ValueError, match=text):
        Recorder(tmp_path / "run.sqlite", **options)
    assert list(tmp_path.iterdir()) == []


def test_machines_go_on_after_the_recorder_has_closed(tmp_path: Path) -> None:
    """Nobody observes them then; closing twice changes nothing."""
    with Recorder(tmp_path / "run.sqlite", "ops") as recorder:
        machine = Machine(STATES, tracers=[recorder])
        machine.add("A")
    recorder.close()
    machine.add("B")
    assert machine._flags == 0
    with Record.open(tmp_path / "run.sqlite") as record:
        assert record.last_seq == 1
        assert json.loads(record._rows("select states from schemas")[0][0])["B"] == {"require": ["A"]}


def test_facts_can_be_added_while_the_program_runs(tmp_path: Path) -> None:
    """They join those of the beginning."""
    with Recorder(tmp_path / "run.sqlite", attributes={"seed": 7}) as recorder:
        recorder.note_run(ended="well", seed=8)
    with Record.open(tmp_path / "run.sqlite") as record:
        assert record.run["attributes"] == {"seed": 8, "ended": "well"}


def test_one_recorder_serves_several_loops(tmp_path: Path) -> None:
    """What a loop that was closed has left is written under the next one."""
    with Recorder(tmp_path / "run.sqlite") as recorder:
        machine = Machine(STATES, tracers=[recorder])

        async def main() -> None:
            machine.toggle("A")
            recorder.point("p")
            assert recorder._handle is not None
            assert recorder._handle[0] is asyncio.get_running_loop()

        asyncio.run(main())
        asyncio.run(main())
    with Record.open(tmp_path / "run.sqlite") as record:
        assert (record.last_seq, len(record.points())) == (2, 2)


def test_what_comes_after_the_end_is_not_recorded(tmp_path: Path) -> None:
    """Points, spans and facts are dropped without an error, also where a loop runs, and nothing of them is kept."""
    with Recorder(tmp_path / "run.sqlite", batch=1) as recorder:
        recorder.point("before")

    async def main() -> None:
        recorder.point("after")
        recorder.note_run(late=True)
        with recorder.span("late"):
            pass
        recorder.flush()

    asyncio.run(main())
    assert recorder._handle is None
    assert recorder._spans._points == []
    with Record.open(tmp_path / "run.sqlite") as record:
        assert [point.name for point in record.points()] == ["before"]
        assert record.spans() == []


def test_a_record_that_cannot_be_finished_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """While another program holds on to it: one warning, and everything written can be read."""
    recorder = Recorder(tmp_path / "run.sqlite")
    Machine(STATES, tracers=[recorder]).add("A")
    recorder.flush()
    recorder._writer.execute("pragma busy_timeout = 0")
    other = sqlite3.connect(tmp_path / "run.sqlite", isolation_level=None)
    other.execute("begin")
    other.execute("select * from run").fetchall()
    recorder.close()
    other.close()
    assert isinstance(recorder.failure, UnwritableRecordError)
    assert "cannot be finished: database is locked" in caplog.text
    with Record.open(tmp_path / "run.sqlite") as record:
        assert record.last_seq == 1


def test_a_machine_that_goes_while_others_are_told_is_left_out(tmp_path: Path) -> None:
    """Ending a recording lets go of machines, and the last one who holds another may go with one of them."""
    with Recorder(tmp_path / "run.sqlite") as recorder:
        machines = [Machine(STATES, id=name, tracers=[recorder]) for name in ("one", "two", "three")]
        living = recorder._machines.living()
        assert next(living)[1] is machines[0]
        del machines[1]
        gc.collect()
        assert [machine.id for _, machine in living] == ["three"]


def test_a_transition_that_is_under_way_when_it_is_bound_is_recorded_without_its_beginning(tmp_path: Path) -> None:
    """The handlers that run in it are not told, as nothing is known of the ones before them."""

    class Handlers:
        def AState(self, e: Event) -> None:
            recorder.bind(e.machine)

        def AnyState(self, e: Event) -> None:
            pass

    with Recorder(tmp_path / "run.sqlite", "ops") as recorder:
        machine = Machine(STATES, id="m", handlers=Handlers(), tracers=[Follower()])
        machine.add("A")
        machine.add("B")
    with Record.open(tmp_path / "run.sqlite") as record:
        assert [record.tx_id(one) for one in record.transitions()] == ["m-2", "m-3"]
        assert list(record.operations()) == [2]
        assert {seq: [call.name for call in calls] for seq, calls in record.handlers().items()} == {2: ["AnyState"]}


def test_a_transition_that_ends_unheard_is_forgotten(tmp_path: Path) -> None:
    """A machine that was unbound in the middle of one inside another's is told no more, and the other one goes on."""

    class Inner:
        def AState(self, e: Event) -> None:
            e.machine.unbind_tracer(recorder)

    class Outer:
        def AState(self, e: Event) -> None:
            inner.add("A")

        def AnyState(self, e: Event) -> None:
            pass

    with Recorder(tmp_path / "run.sqlite", "ops") as recorder:
        inner = Machine(STATES, id="inner", handlers=Inner(), tracers=[recorder])
        outer = Machine(STATES, id="outer", handlers=Outer(), tracers=[recorder])
        outer.add("A")
    assert recorder._watching is not None
    assert recorder._watching._open == []
    with Record.open(tmp_path / "run.sqlite") as record:
        assert [record.tx_id(one) for one in record.transitions()] == ["outer-2"]
        assert list(record.operations()) == [1]
