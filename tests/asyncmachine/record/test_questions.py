"""A record answers what a history answers, and what needs several machines or two runs."""

from __future__ import annotations

import sqlite3
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncmachine import Event, Machine, UnknownStateError, pipes
from asyncmachine.export.errors import MissingExtraError
from asyncmachine.export.files import UnwritableFileError
from asyncmachine.history import History, Query
from asyncmachine.record import Record, Recorder, UnknownMachineError, UnknownTransitionError

STATES: dict[str, Any] = {"A": {}, "B": {"require": ["A"]}, "C": {"auto": True, "require": ["B"]}, "M": {"multi": True}}
MUTATIONS = st.lists(st.tuples(st.sampled_from(["add", "remove", "set"]), st.sampled_from("ABM")), max_size=20)


def without(values: Any) -> dict[str, Any]:
    """Give a history's record without the wall time."""
    return {**values._asdict(), "wall_s": 0}


@settings(max_examples=50, deadline=None)
@given(mutations=MUTATIONS, rejected=st.booleans())
def test_a_record_and_a_history_answer_alike(
    mutations: list[tuple[str, str]], rejected: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Of one machine: the same records, spans and intervals, on the axis of ticks."""
    path = tmp_path_factory.getbasetemp() / "alike.sqlite"
    with Recorder(path) as recorder:
        machine = Machine(STATES, id="m", tracers=[recorder])
        history = History(machine, machine.state_names, rejected=rejected)
        for kind, state in mutations:
            getattr(machine, kind)(state)
        history.close()
    with Record.open(path) as record:
        recorded = record.history("m", rejected=rejected)
        assert list(map(without, recorded.find())) == list(map(without, history.find()))
        query = Query(active=("A",), activated=("M",))
        assert list(map(without, recorded.find(query))) == list(map(without, history.find(query)))
        for state in machine.state_names:
            assert recorded.spans(state, by="ticks") == history.spans(state, by="ticks")
            for question in ("active_between", "inactive_between", "activated_between", "deactivated_between"):
                for limits in ((None, None), (1, 2), (3, 3), (2, 6)):
                    asked = getattr(recorded, question)(state, *limits, by="ticks")
                    assert asked == getattr(history, question)(state, *limits, by="ticks")
        assert recorded.clock_at(3, by="ticks") == history.clock_at(3, by="ticks")
        assert [one.state for one in record.activations("m") if one.end_ns is None] == [
            name for name in machine.state_names if machine.is_(name)
        ]


@pytest.fixture
def record(tmp_path: Path) -> Record:
    """Give a record in which one machine makes another one act, and some mutations are refused."""

    class Handlers:
        def MEnter(self, e: Event) -> bool:
            return "ok" in e.args

        def AState(self, e: Event) -> None:
            e.add("B")

    with Recorder(tmp_path / "run.sqlite", attributes={"seed": 1}) as recorder:
        one = Machine(STATES, id="one", handlers=Handlers(), tracers=[recorder])
        two = Machine(STATES, id="two", handlers=Handlers(), tracers=[recorder])
        pipes.add(one, two, "C", "A")
        for machine in (one, two):
            machine.add("B")
            machine.add("M")
            machine.add("M")
        two.add("M", ok=1)
        one.add("A")
    return Record.open(tmp_path / "run.sqlite")


def test_why_tells_the_chain_of_causes(record: Record) -> None:
    """Across machines, through pipes and auto mutations, down to the call from outside."""
    chain = [(record.tx_id(one), one.change.label) for one in record.why(record.find("two-p1"))]
    assert chain == [
        ("two-p1", "[add] C"),
        ("two-7", "[add] B"),
        ("two-6", "[add] A"),
        ("one-p1", "[add] C"),
        ("one-6", "[add] B"),
        ("one-5", "[add] A"),
    ]
    with pytest.raises(UnknownTransitionError, match="no transition 999: it contains 1 to "):
        record.why(999)
    with pytest.raises(UnknownTransitionError, match="no transition 'one-99'"):
        record.find("one-99")


def test_a_chain_of_causes_ends_where_the_record_does(tmp_path: Path) -> None:
    """At a transition that was made in one of a machine that is not recorded; its history names that one."""
    with Recorder(tmp_path / "run.sqlite") as recorder:
        machine = Machine({"A": {}}, id="m", tracers=[recorder])
        outsider = Machine({"A": {}}, id="outsider")
        pipes.add(outsider, machine, "A")
        outsider.add("A")
    with Record.open(tmp_path / "run.sqlite") as record:
        assert [record.tx_id(one) for one in record.why(1)] == ["m-2"]
        (found,) = record.history("m").find()
        assert found.source is not None
        assert found.source.tx_id == "outsider-2"
        with pytest.raises(UnknownTransitionError, match="no transition 'm-second'"):
            record.find("m-second")


def test_the_history_of_a_machine_names_the_causes_of_its_transitions(record: Record) -> None:
    """In other machines of the record, and in itself."""
    sources = [one.source and one.source.tx_id for one in record.history("two").find()]
    assert "one-p1" in sources
    assert "two-6" in sources


def test_blocked_tells_who_refused_a_state(record: Record) -> None:
    """Handlers and relations with their states, the most frequent first, of all machines or one."""
    assert [(one.text, one.times, one.machines) for one in record.blocked("M")] == [("MEnter", 4, ("one", "two"))]
    assert [(one.text, one.times) for one in record.blocked("B", "two")] == [("relations: B requires A", 1)]
    assert record.blocked("C") == []
    with pytest.raises(UnknownStateError, match="did you mean"):
        record.blocked("Exceptio")
    with pytest.raises(UnknownMachineError, match="no machine 'tow'; did you mean 'two'"):
        record.blocked("M", "tow")


def test_two_records_of_one_program_do_not_differ(tmp_path: Path) -> None:
    """But for wall times; a change is found at the first transition, machine or point it touches."""

    def play(name: str, *, planted: str = "") -> Record:
        with Recorder(tmp_path / name, batch=3 if name == "b" else 1000) as recorder:
            with recorder.span("lap", of=planted if planted == "span" else ""):
                pass
            if planted == "machine":
                Machine(STATES, id="more", tracers=[recorder])
            machine = Machine(STATES, id="m", tracers=[recorder])
            for number in range(10):
                machine.toggle("A")
                recorder.point("p", number=number if planted != "point" else number // 9)
                if planted == "transition" and number == 6:
                    machine.add("M")
        return Record.open(tmp_path / name)

    with play("a") as one:
        with play("b") as same:
            assert one.diff(same) is None
        found = {}
        for planted in ("machine", "transition", "span", "point"):
            with play("c", planted=planted) as other:
                found[planted] = one.diff(other)
                assert (other.diff(one) is None) == (found[planted] is None)
        assert {key: (value.what, value.position) for key, value in found.items() if value} == {
            "machine": ("machine", 0),
            "transition": ("transition", 7),
            "span": ("span", 0),
            "point": ("point", 1),
        }
        assert str(found["transition"]) == "transition 8: m-9 [remove] A moved A / m-9 [add] M moved M"


def test_tables_are_there_for_everybody(record: Record, tmp_path: Path) -> None:
    """As DataFrames and Parquet files with every row, and by SQL with the names in them."""
    import pandas as pd

    frame = record.frame()
    assert list(frame["seq"]) == list(range(1, record.last_seq + 1))
    assert list(frame[frame.accepted == 0].refused_by.unique()) == ["relations", "MEnter"]
    written = {path.stem: pd.read_parquet(path) for path in record.to_parquet(tmp_path / "parquet")}
    assert set(written) == {"machines", "transitions", "changes", "schemas", "run"}
    assert written["transitions"].equals(frame)
    with pytest.raises(ValueError, match=r"table must be one of machines, .*, got 'nothing'"):
        record.frame("nothing")
    with pytest.raises(UnwritableFileError):
        record.to_parquet("/proc/nowhere")
    with sqlite3.connect(record.path) as file:
        by_sql = "select s.key, count(*) from readable r, json_each(r.moved) s group by 1 order by 1"
        assert dict(file.execute(by_sql).fetchall()) == {"A": 2, "B": 2, "C": 2, "M": 1}


@pytest.mark.parametrize(("package", "what"), [("pandas", "a table of a record"), ("pyarrow", "a Parquet file")])
def test_a_missing_package_is_one_sentence(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, what: str
) -> None:
    """It says what to install, and no file is written."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=rf"{what} needs .*pip install 'asyncmachine\[tables\]'"):
        record.to_parquet(tmp_path / "parquet")
    assert not (tmp_path / "parquet").exists()


def test_two_records_with_causes_are_compared_by_them(record: Record) -> None:
    """A record is equal to itself, pipes and refusals included."""
    assert record.diff(record) is None
