"""What the reference documents and its own unit tests leave open."""

from __future__ import annotations

import asyncio
import logging
from itertools import product
from typing import Any

import pytest

from asyncmachine import Event, LogLevel, Machine, Result, Schema, StateContext, Tracer
from tests.reference.machines import NO_RELS, ended, machine, no_rels

AUTO: dict[str, Any] = {"auto": True}


class Recorder:
    """Every handler of some states; each notes its call, and raises or refuses if it is told to."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.failing = ""
        self.refusing = ""

    def handle(self, e: Event) -> bool:
        self.calls.append(e.name)
        if e.name == self.failing and "Exception" not in e.mutation.called:
            raise ValueError(e.name)
        return e.name != self.refusing

    def take(self) -> str:
        """All calls since it was last asked."""
        calls, self.calls = " ".join(self.calls), []
        return calls


def recorder(states: str) -> Recorder:
    names = [state + suffix for state, suffix in product(states, ("Enter", "Exit", "State", "End"))]
    names += [x + y for x, y in product(states, states)] + ["AnyEnter", "AnyState", "ExceptionState"]
    handle = Recorder.handle
    made: Recorder = type("Handlers", (Recorder,), {name: lambda self, e: handle(self, e) for name in names})()
    return made


# sequences


@pytest.mark.parametrize(
    ("schema", "initial", "mutation", "calls", "after"),
    [
        (NO_RELS, "", "add", "AnyEnter AnyState", "() [A:0 B:0 C:0 D:0]"),
        (NO_RELS, "", "set", "AnyEnter AnyState", "() [A:0 B:0 C:0 D:0]"),
        (NO_RELS, "A B", "set", "AExit BExit AnyEnter AEnd BEnd AnyState", "() [A:2 B:2 C:0 D:0]"),
        (NO_RELS, "A", "remove", "AnyEnter AnyState", "(A:1) [B:0 C:0 D:0]"),
        (NO_RELS, "A", "add B B", "BEnter AA AB AnyEnter BState AnyState", "(A:1 B:1) [C:0 D:0]"),
        ({"A": {"add": ["D"]}, "D": {"multi": True}}, "D", "add A", "AEnter DD DA AnyEnter AState AnyState", "(A:1 D:1) []"),
        ({"D": {"multi": True}, "A": {}}, "D", "add D A", "DEnter AEnter DD DA AnyEnter DState AState AnyState", "(D:3 A:1) []"),
        ({"D": {"multi": True}, "A": {}}, "D", "remove D", "DExit AnyEnter DEnd AnyState", "() [D:2 A:0]"),
    ],
)  # fmt: skip
def test_every_mutation_is_a_transition(
    schema: dict[str, Any], initial: str, mutation: str, calls: str, after: str
) -> None:
    """Also one that changes nothing; an implied Multi state is not entered again, a called one is."""
    m = machine(schema, *initial.split())
    h = recorder("ABCD" if schema is NO_RELS else "AD")
    m.bind(h)
    kind, *states = mutation.split()
    tick = m.queue_tick
    assert getattr(m, kind)(*states) is Result.EXECUTED
    assert (h.take(), ended(m), m.queue_tick) == (calls, after, tick + 1)


@pytest.mark.parametrize("handler", ["AExit", "BEnter", "CC", "AB", "CB", "AnyEnter"])
def test_an_error_in_negotiation_stops_where_a_veto_would(handler: str) -> None:
    """Nothing is changed, nobody else is asked, and Exception follows at once."""
    m = no_rels("C", "A")
    h = recorder("ABC")
    m.bind(h)
    h.failing = handler
    assert m.set("B", "C") == Result.CANCELED
    before, _, exception = h.take().partition(handler)
    assert m.string_all() == "(Exception:1 A:1 C:1) [B:0 D:0]"
    assert exception == " CC AA CA AC AnyEnter ExceptionState AnyState"
    h.failing, h.refusing = "", handler
    m.remove("Exception")
    h.take()
    assert m.set("B", "C") == Result.CANCELED
    vetoed = h.take()
    assert vetoed == (before + handler)


def test_exception_comes_before_autos_and_autos_before_the_queue() -> None:
    """The Exception transition has an auto transition of its own, and the queue waits for both."""
    calls: list[str] = []

    class Handlers:
        def AState(self, e: Event) -> None:
            e.add("B")
            raise ValueError

        def ExceptionState(self, e: Event) -> None:
            calls.append(e.name)

        BState = CState = ExceptionState

    m = machine({"A": {}, "B": {}, "C": {**AUTO, "require": ["Exception"]}}, handlers=Handlers())
    m.add("A")
    assert calls == ["ExceptionState", "CState", "BState"]


def test_a_canceled_mutation_has_no_auto_transition() -> None:
    """Neither one that a handler refuses, nor one that relations refuse."""
    h = recorder("ABC")
    m = Machine.restore({"A": {}, "B": {"require": ["C"]}, "C": {}, "D": AUTO}, {"states": [], "time": []}, handlers=h)
    h.refusing = "AEnter"
    assert [m.add("A").canceled, m.add("B").canceled, m.is_("D")] == [True, True, False]
    m.add("C")
    assert m.is_("D")


def test_a_handler_can_postpone() -> None:
    """A negotiation handler queues what it needs and the mutation itself, and refuses."""
    h = recorder("AB")

    class Postpone:
        def AEnter(self, e: Event) -> bool:
            if e.machine.is_("B"):
                return True
            e.add("B")
            e.add("A")
            return False

    m = machine({"A": {}, "B": {}}, handlers=h)
    m.bind(Postpone())
    assert m.add("A") == Result.CANCELED
    assert h.take() == "AEnter BEnter AnyEnter BState AnyState AEnter BB BA AnyEnter AState AnyState"
    assert ended(m) == "(A:1 B:1) []"


# contexts


def test_a_context_lasts_until_the_commit() -> None:
    """Exit handlers and AnyEnter see it alive, End handlers do not."""
    seen: dict[str, tuple[bool, bool]] = {}

    class Handlers:
        ctx: StateContext

        def AnyEnter(self, e: Event) -> None:
            seen[e.name] = (self.ctx.expired, e.machine.is_("A"))

        AExit = AEnd = AnyState = AnyEnter

    m = no_rels("A")
    handlers = Handlers()
    handlers.ctx = m.state_ctx("A")
    m.bind(handlers)
    m.remove("A")
    assert seen == {"AExit": (False, True), "AnyEnter": (False, True), "AEnd": (True, False), "AnyState": (True, False)}


def test_a_context_outlives_what_does_not_tick() -> None:
    """A canceled mutation, a dry run, and adding again a state that is not Multi."""
    h = recorder("AB")
    m = no_rels("A")
    m.bind(h)
    ctx = m.state_ctx("A")
    h.refusing = "AExit"
    assert m.remove("A").canceled
    m.add("A")
    h.refusing = ""
    m.can_remove("A")
    assert not ctx.expired
    assert m.state_ctx("A") is ctx
    m.remove("A")
    assert ctx.expired


# waits


def test_the_next_activation() -> None:
    """The current one does not count; calling a Multi state again does."""

    async def main() -> None:
        m = machine({"A": {}, "M": {"multi": True}}, "A", "M")
        once, again = m.when_next_active("A"), m.when_next_active("M")
        m.add("A")
        m.remove("A")
        assert (once.done(), again.done()) == (False, False)
        m.add("A", "M")
        assert (once.done(), again.done()) == (True, True)

    asyncio.run(main())


# the end


def test_the_order_of_the_end() -> None:
    """Start is removed, then tracers are told, contexts expire, waits and functions follow in the order given."""

    async def main() -> None:
        seen: list[str] = []

        class Told(Tracer):
            def machine_dispose(self, machine: Machine) -> None:
                seen.append("tracer")

            def state_ctx_end(self, machine: Machine, ctx: StateContext) -> None:
                seen.append(f"context of {ctx.state}")

        class Handlers:
            def StartEnd(self, e: Event) -> None:
                seen.append("StartEnd")

        def broken() -> None:
            seen.append("first")
            raise ValueError

        m = machine({"Start": {}, "A": {}}, "Start", handlers=Handlers(), tracers=[Told()])
        m.state_ctx("A")
        m.on_dispose(broken)
        m.on_dispose(lambda: seen.append("second"))
        wait = m.when("A")
        wait.add_done_callback(lambda _: seen.append("wait"))
        m.dispose()
        await m.disposed()
        await asyncio.sleep(0)
        assert seen == ["StartEnd", "tracer", "context of A", "first", "second", "wait"]

    asyncio.run(main())


# schema


def test_lists_of_relations_are_cleaned() -> None:
    """Names are kept once, in the order of their first mention."""
    schema = Schema.of({"A": {"remove": ["C", "B", "C", "A"], "require": ["D", "D"], "after": ["B", "A", "B"]}, "B": {}, "C": {}, "D": {}})  # fmt: skip
    assert schema.states["A"].to_dict() == {"require": ["D"], "remove": ["C", "B"], "after": ["B"]}


# log


def logged(caplog: pytest.LogCaptureFixture, m: Machine, *mutations: str) -> list[str]:
    """The lines of some mutations, without the machine's id."""
    caplog.set_level(logging.DEBUG, logger="asyncmachine")
    caplog.clear()
    for mutation in mutations:
        kind, *states = mutation.split()
        getattr(m, kind)(*states)
    return [message.removeprefix(f"[{m.id[:5]}] ") for message in caplog.messages]


@pytest.mark.parametrize(
    ("refusing", "line"),
    [("BEnter", "[cancel] (B A) by BEnter"), ("AA", "[cancel:self] (B A) by AA"), ("AB", "[cancel] (B A) by AB")],
)
def test_lines_of_a_veto(refusing: str, line: str, caplog: pytest.LogCaptureFixture) -> None:
    """The refusing handler and the refused target are named, after the handlers that were asked."""
    h = recorder("AB")
    m = machine(NO_RELS, "A", log_level=LogLevel.OPS)
    m.bind(h)
    h.refusing = refusing
    lines = logged(caplog, m, "add B")
    assert lines[:3] == ["[queue:add] B", "[add] B", "[handler:0] BEnter"]
    assert lines[-2:] == [f"[handler:0] {refusing}", line]


def test_lines_of_handlers_surround_the_change(caplog: pytest.LogCaptureFixture) -> None:
    """Negotiation before the change, final handlers after it."""
    m = machine(NO_RELS, "A", log_level=LogLevel.OPS)
    m.bind(recorder("AB"))
    assert logged(caplog, m, "set B") == [
        "[queue:set] B", "[set] B", "[handler:0] AExit", "[handler:0] BEnter", "[handler:0] AB", "[handler:0] AnyEnter",
        "[state] +B -A", "[handler:0] AEnd", "[handler:0] BState", "[handler:0] AnyState",
    ]  # fmt: skip


def test_lines_of_an_error(caplog: pytest.LogCaptureFixture) -> None:
    """The recovery, the canceled target and the Exception that follows."""
    h = recorder("B")
    m = machine(NO_RELS, log_level=LogLevel.OPS)
    m.bind(h)
    h.failing = "BState"
    lines = logged(caplog, m, "add B")
    start = lines.index("[recover] handling panic...")
    assert lines[start - 1 : start + 3] == [
        "[handler:0] BState", "[recover] handling panic...", "[cancel] (B) by recover", "[prepend:add] Exception",
    ]  # fmt: skip
    assert "[state] +Exception" in lines


def test_lines_of_relations_by_level(caplog: pytest.LogCaptureFixture) -> None:
    """What an active state loses is told at OPS, what was not active at DECISIONS, blocked autos at EVERYTHING."""
    schema: dict[str, Any] = {"A": {"remove": ["B"]}, "B": {}, "C": {"add": ["B"]}, "Z": {**AUTO, "require": ["D"]}, "D": {"remove": ["Y"]}, "Y": AUTO}  # fmt: skip
    seen = {}
    for level in (LogLevel.OPS, LogLevel.DECISIONS, LogLevel.EVERYTHING):
        m = machine(schema, "B", log_level=level)
        lines = logged(caplog, m, "add A", "add C", "add D")
        seen[level.name] = {line for line in lines if "rel:remove" in line or ":auto" in line}
    ops = {"[rel:remove] B by A", "[rel:remove] Y by D"}
    decisions = ops | {"[add:auto] Z", "[reject:auto] Z(-D)"}
    assert seen["OPS"] <= seen["DECISIONS"] <= seen["EVERYTHING"]
    assert seen["OPS"] == ops
    assert seen["DECISIONS"] == decisions
    assert seen["EVERYTHING"] == decisions | {"[auto:rel:remove] Y by D"}


def test_lines_of_waits_and_contexts(caplog: pytest.LogCaptureFixture) -> None:
    """Beginning and end of each are told at OPS."""

    async def main() -> None:
        m = machine(NO_RELS, log_level=LogLevel.OPS)
        caplog.set_level(logging.DEBUG, logger="asyncmachine")
        caplog.clear()
        m.when("A", "B")
        m.when_args("B", foo=1)
        m.state_ctx("B")
        m.add("A", "B", foo=1)
        lines = [message.removeprefix(f"[{m.id[:5]}] ") for message in caplog.messages]
        assert [line for line in lines if ":new]" in line or ":match]" in line] == [
            "[when:new] A B", "[whenArgs:new] B (foo)", "[ctx:new] B", "[ctx:match] B", "[whenArgs:match] B (foo)", "[when:match] A B",
        ]  # fmt: skip

    asyncio.run(main())


# a whole program


def test_popup_dialog() -> None:
    """A button shows a dialog once its data are there: states, handlers and background work together."""
    schema: dict[str, Any] = {
        "Enabled": {},
        "ButtonClicked": {"require": ["Enabled"]},
        "ShowingDialog": {"remove": ["DialogVisible"]},
        "DownloadingData": {**AUTO, "require": ["ShowingDialog"], "remove": ["DataDownloaded"]},
        "PreloaderVisible": {**AUTO, "require": ["DownloadingData"]},
        "DataDownloaded": {"remove": ["DownloadingData"]},
        "DialogVisible": {"require": ["DataDownloaded"], "remove": ["ShowingDialog"]},
    }

    class Handlers:
        def ButtonClickedState(self, e: Event) -> None:
            assert e.args == {"button": "red"}
            e.add("ShowingDialog")
            e.remove("ButtonClicked")

        async def DownloadingDataState(self, e: Event) -> None:
            await asyncio.sleep(0)
            e.add("DataDownloaded")

        def DataDownloadedState(self, e: Event) -> None:
            e.add("DialogVisible")

    async def main() -> None:
        m = machine(schema, handlers=Handlers())
        m.add("Enabled")
        m.add("ButtonClicked", button="red")
        assert m.is_("DownloadingData", "PreloaderVisible")
        await m.when("DialogVisible")
        assert ended(m) == (
            "(Enabled:1 DataDownloaded:1 DialogVisible:1)"
            " [ButtonClicked:2 ShowingDialog:2 DownloadingData:2 PreloaderVisible:2]"
        )
        assert m.queue_tick == 7

    asyncio.run(main())
