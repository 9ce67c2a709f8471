"""A history keeps cheap facts while the machine runs and answers questions about intervals afterwards."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from asyncmachine import Event, Machine, UnknownStateError, schemas
from asyncmachine.history import History, Query, Record, UntrackedStateError

STATES: dict[str, Any] = {"A": {}, "B": {}, "C": {"require": ["B"]}, "M": {"multi": True}}


class Clock:
    """Wall time set by the test."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def recorded(*states: str, **options: Any) -> tuple[Machine, History, Clock]:
    clock = Clock()
    m = Machine(STATES, id="m")
    return m, History(m, states, clock=clock, **options), clock


def stepped() -> tuple[Machine, History]:
    """A from 10 to 20, and again from 30 on; B from 20 to 30. Machine time is one more with each of five changes."""
    m, history, clock = recorded("A", "B")
    for now, kind, state in (
        (10, "add", "A"),
        (20, "remove", "A"),
        (20, "add", "B"),
        (30, "remove", "B"),
        (30, "add", "A"),
    ):
        clock.now = now
        m.prepare(kind, state)()
    clock.now = 40
    return m, history


@pytest.mark.parametrize(
    "rounds",
    [
        pytest.param(50, marks=pytest.mark.reference("TestTrack")),
        pytest.param(50_000, marks=pytest.mark.reference("TestTrackMany")),
    ],
)
def test_track(rounds: int) -> None:
    """Many toggles of Start, the latest records, and a state that is not tracked."""
    clock = Clock()
    m = Machine(schemas.Basic)
    history = History(m, ("Start",), max_records=10**7, clock=clock)
    assert m.has(*schemas.Basic.names)
    assert history.is_tracked("Start")
    assert not history.is_tracked("Ready")
    for _ in range(rounds):
        clock.now += 1
        m.toggle("Start")
    assert history.activated_between("Start", 0, clock.now)
    with pytest.raises(UntrackedStateError, match="'Ready' is not tracked"):
        history.activated_between("Ready", 0, clock.now)
    latest = history.find(limit=25)
    assert len(latest) == 25
    assert history.next_number == rounds + 1
    assert latest[23].time_sum == history.next_number - 24
    assert latest[24].time_sum == history.next_number - 25
    m.dispose()
    assert len(history) == rounds


@pytest.mark.parametrize(
    ("start", "end", "active", "inactive", "activated", "deactivated"),
    [
        (0, 5, False, True, False, False),
        (0, 10, True, True, True, False),
        (12, 15, True, False, False, False),  # no record in between
        (20, 20, False, True, False, True),
        (21, 29, False, True, False, False),
        (30, 30, True, True, True, False),  # for a moment still inactive: two transitions at 30
        (31, 99, True, False, False, False),
        (None, None, True, True, True, True),
    ],
)
def test_intervals_of_wall_time(
    start: float | None, end: float | None, active: bool, inactive: bool, activated: bool, deactivated: bool
) -> None:
    """What was active or changed from one moment to another, both included."""
    _, history = stepped()
    assert history.active_between("A", start, end) is active
    assert history.inactive_between("A", start, end) is inactive
    assert history.activated_between("A", start, end) is activated
    assert history.deactivated_between("A", start, end) is deactivated


@pytest.mark.parametrize(
    ("start", "end", "active", "activated", "deactivated"),
    [(0, 0, False, False, False), (1, 1, True, True, False), (2, 4, False, False, True), (3, 4, False, False, False), (5, 9, True, True, False)],
)  # fmt: skip
def test_intervals_of_machine_time(start: int, end: int, active: bool, activated: bool, deactivated: bool) -> None:
    """The same by the sum of the machine's ticks, which no clock can blur."""
    _, history = stepped()
    assert history.active_between("A", start, end, by="ticks") is active
    assert history.activated_between("A", start, end, by="ticks") is activated
    assert history.deactivated_between("A", start, end, by="ticks") is deactivated


def test_spans_and_clock() -> None:
    """When a state was active, and all ticks at a moment."""
    _, history = stepped()
    assert history.spans("A") == [(10, 20, 1), (30, None, 3)]
    assert history.spans("B", by="ticks") == [(3, 4, 1)]
    assert history.clock_at(25) == {"A": 2, "B": 1}
    assert history.clock_at(99) == {"A": 3, "B": 2}
    assert history.clock_at(1, by="ticks") == {"A": 1, "B": 0}
    with pytest.raises(LookupError, match="start of the history at 0"):
        history.clock_at(-1)
    with pytest.raises(ValueError, match="'wall' or 'ticks', got 'seconds'"):
        history.clock_at(0, by="seconds")  # type: ignore[arg-type]  # what is tested


def test_active_before_the_history() -> None:
    """States active when recording began count as active since then, not as activated."""
    m = Machine(STATES)
    m.add("A")
    clock = Clock()
    clock.now = 7
    history = History(m, ("A",), clock=clock)
    assert history.active_between("A", 8, 9)
    assert not history.activated_between("A")
    assert history.spans("A") == [(7, None, 1)]
    m.add("B")
    assert history.find()[0].record_diff == 1


def test_multi_state() -> None:
    """Each activation of a Multi state counts, and none of them is a deactivation."""
    m, history, clock = recorded("M")
    for clock.now in (1, 2):
        m.add("M")
    assert history.activated_between("M", 2, 2)
    assert not history.deactivated_between("M")
    assert history.spans("M") == [(1, 2, 1), (2, None, 3)]


def test_records() -> None:
    """A record tells what was asked, where it came from and what it changed."""
    m, history, clock = recorded("A", "B")

    class Handlers:
        def AState(self, e: Event) -> None:
            e.add("B", secret="s")

    m.bind(Handlers())
    clock.now = 3.5
    m.add("A", "M")
    b, a = history.find()
    assert a == Record(
        number=1, tx_id="m-2", kind="add", called=("A", "M"), is_auto=False, accepted=True, canceled_by="", source=None,
        wall_s=3.5, ticks=(1, 0), ticks_diff=(1, 0), time_sum=2, time_diff=2, record_diff=2,
    )  # fmt: skip
    assert b.source is not None
    assert (b.number, b.source.tx_id, b.called, b.ticks_diff, b.tracked_sum) == (2, "m-2", ("B",), (0, 1), 2)
    assert history.index("B") == 1
    assert history.match(lambda records: [record.called for record in records]) == [("A", "M"), ("B",)]


def test_queries() -> None:
    """Conditions on states and ranges, all at once, the newest first."""
    m, history = stepped()

    def numbers(limit: int = 0, **conditions: Any) -> list[int]:
        return [record.number for record in history.find(Query(**conditions), limit=limit)]

    assert numbers() == [5, 4, 3, 2, 1]
    assert numbers(limit=2) == [5, 4]
    assert numbers(active=("A",)) == [5, 1]
    assert numbers(activated=("B",)) == [3]
    assert numbers(inactive=("A", "B")) == [4, 2]
    assert numbers(deactivated=("A",)) == [2]
    assert numbers(inactive=("A",), wall_s=(None, 25)) == [3, 2]
    assert numbers(time_sum=(2, 3)) == [3, 2]
    assert numbers(tracked_sum=(5, None)) == [5]
    assert numbers(ticks={"A": (2, 2), "B": (1, None)}) == [4, 3]
    m.add("C", "M")
    assert numbers(time_diff=(2, None)) == []
    m.add("B", "M")
    assert numbers(time_diff=(2, None)) == [6]


def test_wrong_questions() -> None:
    """Unknown and untracked states, and contradictory ranges, are errors with the close matches."""
    m, history, _ = recorded("A")
    with pytest.raises(UntrackedStateError, match="'B'"):
        history.find(Query(active=("B",)))
    with pytest.raises(UntrackedStateError, match="'B'"):
        history.find(Query(ticks={"B": (1, 2)}))
    with pytest.raises(UnknownStateError, match="'Z'"):
        history.active_between("Z")
    with pytest.raises(ValueError, match="wall_s: the range 2 to 1"):
        Query(wall_s=(2, 1))
    with pytest.raises(TypeError, match="got 'Start'"):
        Query(active="Start")  # type: ignore[arg-type]  # what is tested
    with pytest.raises(UnknownStateError, match="did you mean 'Apple'"):
        History(Machine({"Apple": {}}), ("Aple",))
    with pytest.raises(ValueError, match="no states to track"):
        History(m)
    with pytest.raises(ValueError, match="at least 1, got 0"):
        History(m, ("A",), max_records=0)


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ({}, "A B M C-"),
        ({"called": ("A", "M")}, "A M"),
        ({"called_exclude": ("A", "C")}, "B M"),
        ({"changed": ("B",)}, "B"),
        ({"changed_exclude": ("B", "M")}, "A C-"),
        ({"called": ("A",), "changed": ("B",)}, "A B"),
        ({"called": ("A", "B"), "changed_exclude": ("B",)}, "A"),
    ],
)
def test_what_is_recorded(options: dict[str, Any], calls: str) -> None:
    """Lists of called and changed states decide, later ones overriding; refused mutations only on request."""
    for rejected in (False, True):
        m, history, _ = recorded("A", rejected=rejected, **options)
        m.can_add("A")
        for state in ("A", "B", "M"):
            m.add(state)
        m.remove("B")
        before = len(history)
        m.add("C")
        if "-" in calls and rejected:
            assert history.find(limit=1)[0].canceled_by == "relations"
        else:
            assert len(history) == before
        adds = [record.called[0] for record in history.find() if record.kind == "add" and record.accepted]
        assert " ".join(reversed(adds)) == calls.removesuffix(" C-")
        assert history.is_tracked(*options.get("called", ()), *options.get("changed", ()))


def test_a_failed_transition_that_moved_ticks_is_recorded() -> None:
    """Its ticks would be missing otherwise."""
    m, history, _ = recorded("A")

    class Failing:
        def AState(self, e: Event) -> None:
            raise ValueError("no")

    m.bind(Failing())
    m.add("A")
    assert [(r.called, r.accepted, r.canceled_by, r.ticks) for r in reversed(history.find())] == [
        (("A",), False, "error", (2,)),
        (("Exception",), True, "", (2,)),
    ]


def test_bounded() -> None:
    """The oldest records are dropped, their numbers are not given again, and the horizon is known."""
    m, history, clock = recorded("A", max_records=3)
    for clock.now in range(1, 6):
        m.toggle("A")
    assert [record.number for record in history.find()] == [5, 4, 3]
    assert [record.record_diff for record in history.find()] == [1, 1, 1]
    assert (history.complete_from(), history.complete_from(by="ticks")) == (3, 3)
    assert history.activated_between("A", 3, 3)
    assert not history.activated_between("A", 0, 2)
    assert history.spans("A") == [(3, 4, 3), (5, None, 5)]
    with pytest.raises(LookupError, match="start of the history at 3"):
        history.clock_at(2)


def test_schema_growth() -> None:
    """Tracked states keep their places; records made before know nothing of the new ones."""
    m, history, _ = recorded("A", "M")
    m.add("A")
    m.set_schema({**STATES, "New": {}})
    m.add("New")
    assert [record.ticks for record in history.find()] == [(1, 0), (1, 0)]
    assert history.find()[0].time_sum == 2
    with pytest.raises(UntrackedStateError, match="'New'"):
        history.active_between("New")


def test_close_and_export() -> None:
    """A closed history records no more; what it holds is plain data."""
    m, history, _ = recorded("A")
    m.add("A")
    history.close()
    m.remove("A")
    data = history.export()
    assert (data["id"], data["tracked"], len(data["records"])) == ("m", ["A"], 1)
    assert data["records"][0]["called"] == ("A",)
    assert m._flags == 0


def test_neither_keeps_the_other_alive() -> None:
    """A dropped machine is freed at once although its history is kept, and no history keeps arguments."""
    gc.collect()
    gc.disable()
    try:
        m, history, _ = recorded("A")
        load = Clock()
        m.add("A", load=load)
        gone = weakref.ref(m), weakref.ref(load)
        del m, load
        assert [ref() for ref in gone] == [None, None]
        assert history.find()[0].called == ("A",)
        history.close()
    finally:
        gc.enable()
