"""Relations decide what becomes active: the worked examples of asyncmachine-go 0.19."""

from __future__ import annotations

from typing import Any

import pytest

from asyncmachine import Machine, Result

E, C = Result.EXECUTED, Result.CANCELED


def text(m: Machine) -> str:
    """The machine's text without an untouched Exception."""
    return m.string_all().replace("Exception:0 ", "").replace("Exception:0", "")


def build(schema: dict[str, Any], active: str = "") -> Machine:
    states = list(schema)
    return Machine.restore(
        schema, {"states": states, "time": [int(s in active.split()) for s in states], "active": active.split()}
    )


EXAMPLES: list[tuple[str, dict[str, Any], str, str, Result, str]] = [
    ("R1", {"X": {"remove": ["Y"]}, "Y": {}}, "Y", "add X", E, "(X:1) [Y:2]"),
    ("R2", {"A": {"remove": ["B"]}, "B": {}}, "A", "add B", C, "(A:1) [B:0]"),
    ("R2 set", {"A": {"remove": ["B"]}, "B": {}}, "A", "set B", E, "(B:1) [A:2]"),
    ("R3", {"A": {"remove": ["B"]}, "B": {"remove": ["A"]}}, "A", "add B", E, "(B:1) [A:2]"),
    ("R4", {"A": {"remove": ["B"]}, "B": {}}, "", "add A B", C, "() [A:0 B:0]"),
    ("R4 reversed", {"A": {"remove": ["B"]}, "B": {}}, "", "add B A", C, "() [A:0 B:0]"),
    ("R4 mutual", {"A": {"remove": ["B"]}, "B": {"remove": ["A"]}}, "", "add A B", C, "() [A:0 B:0]"),
    ("R5", {"A": {"add": ["B"]}, "B": {}, "X": {"remove": ["B"]}}, "X", "add A", E, "(A:1 X:1) [B:0]"),
    ("R6", {"A": {"add": ["B"]}, "B": {"remove": ["X"]}, "X": {"remove": ["B"]}}, "X", "add A", E, "(A:1 X:1) [B:0]"),
    ("R7", {"A": {"add": ["B"]}, "B": {"remove": ["X"]}, "X": {}}, "X", "add A", E, "(A:1 B:1) [X:2]"),
    ("R8", {"A": {"add": ["B"]}, "B": {"remove": ["A"]}}, "", "add A", C, "() [A:0 B:0]"),
    ("R9", {"A": {"add": ["B"]}, "B": {"require": ["Z"]}, "Z": {}}, "", "add A", E, "(A:1) [B:0 Z:0]"),
    ("R10", {"A": {"require": ["Z"]}, "B": {}, "Z": {}}, "", "add B A", C, "() [A:0 B:0 Z:0]"),
    ("R11", {"A": {}, "B": {"remove": ["A"]}, "C": {"require": ["A"]}}, "A C", "add B", E, "(B:1) [A:2 C:2]"),
    ("R11 chain", {"A": {}, "C": {"require": ["A"]}, "D": {"require": ["C"]}}, "A C D", "remove A", E, "() [A:2 C:2 D:2]"),
    ("R12", {"A": {}, "B": {"remove": ["A"], "require": ["C"]}, "C": {"require": ["A"]}}, "A C", "add B", C, "(A:1 C:1) [B:0]"),
    ("R13 to the end of the chain", {"A": {"add": ["B"]}, "B": {"add": ["D"]}, "D": {"add": ["E"]}, "E": {}}, "", "add A", E, "(A:1 B:1 D:1 E:1) []"),
    ("R15", {"A": {"add": ["B"]}, "B": {}}, "A", "add A", E, "(A:1) [B:0]"),
    ("R16", {"M": {"multi": True, "add": ["X"]}, "X": {}}, "M X", "remove X", E, "(M:1) [X:2]"),
    ("set without requirement", {"A": {"require": ["B"]}, "B": {}, "D": {}}, "A B", "set A", C, "(A:1 B:1) [D:0]"),
    ("set away from requirement", {"A": {"require": ["B"]}, "B": {}, "D": {}}, "A B", "set D", E, "(D:1) [A:2 B:2]"),
    ("own requirement implied", {"A": {"add": ["B"], "require": ["B"]}, "B": {}}, "", "add A", E, "(A:1 B:1) []"),
    ("set implies what is excluded by others", {"A": {"remove": ["B"]}, "B": {"remove": ["A"]}, "Z": {"add": ["B"]}}, "", "set Z", E, "(B:1 Z:1) [A:0]"),
    ("self require", {"A": {"require": ["A"]}}, "", "add A", E, "(A:1) []"),
    ("R8 blocked too late", {"A": {"add": ["B"], "remove": ["X"]}, "B": {}, "X": {"remove": ["B"]}}, "X", "add A", E, "(A:1 B:1) [X:2]"),
    ("late and removing", {"A": {"add": ["B"], "remove": ["X"]}, "B": {"remove": ["Y"]}, "X": {"remove": ["B"]}, "Y": {}}, "X Y", "add A", E, "(A:1 B:1 Y:1) [X:2]"),
    ("remove implies nothing", {"S": {"add": ["X"]}, "X": {}, "Exception": {}}, "S X", "remove X", E, "(S:1) [X:2]"),
    ("ring of three", {"A": {"remove": ["B"]}, "B": {"remove": ["D"]}, "D": {"remove": ["A"]}}, "A", "add D", E, "(D:1) [A:2 B:0]"),
    ("ring of three blocked", {"A": {"remove": ["B"]}, "B": {"remove": ["D"]}, "D": {"remove": ["A"]}}, "A", "add B", C, "(A:1) [B:0 D:0]"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("schema", "active", "mutation", "result", "after"), [e[1:] for e in EXAMPLES], ids=[e[0] for e in EXAMPLES]
)
def test_worked_example(schema: dict[str, Any], active: str, mutation: str, result: Result, after: str) -> None:
    """Each worked example gives its documented outcome."""
    m = build(schema, active)
    kind, *states = mutation.split()
    assert getattr(m, kind)(*states) == result
    assert text(m).replace(" ]", "]") == after


def test_water() -> None:
    """The classic: dry excludes water, water brings wet."""
    m = Machine(
        {"Wet": {"require": ["Water"]}, "Dry": {"remove": ["Water"]}, "Water": {"add": ["Wet"], "remove": ["Dry"]}}
    )
    m.add("Dry")
    m.add("Water")
    assert text(m) == "(Wet:1 Water:1) [Dry:2]"
    m.add("Dry")
    assert text(m) == "(Dry:3) [Wet:2 Water:2]"


@pytest.mark.parametrize(
    ("schema", "called", "order"),
    [
        ({"B": {"require": ["A"]}, "A": {}, "X": {}}, "B A X", "X A B"),
        ({"A": {"after": ["B"]}, "B": {}, "X": {}}, "A B X", "B A X"),
        ({"A": {"after": ["B"]}, "B": {}, "X": {}}, "A X B", "X B A"),
        ({"A": {"after": ["D"]}, "B": {"after": ["A"]}, "D": {}}, "B A D", "D A B"),
        ({"A": {"after": ["B"]}, "B": {"require": ["A"]}}, "A B", "B A"),
        ({"A": {"after": ["B"]}, "B": {"after": ["A"]}}, "A B", "A B"),
    ],
)
def test_order_of_target_states(schema: dict[str, Any], called: str, order: str) -> None:
    """Required states come first, After holds between any two states, ties keep the called order."""
    m = Machine(schema)
    m.add(*called.split())
    assert " ".join(m.active_states()) == order


def test_require_order_from_the_first_state_on() -> None:
    """The state defined first waits for its requirements like any other."""
    m = Machine({"S": {"require": ["Z"]}, "B": {"require": ["S"]}, "Z": {}, "Exception": {}})
    m.add("B", "S", "Z")
    assert m.active_states() == ("Z", "S", "B")


def test_definition_order_breaks_ties_of_require() -> None:
    """Unrelated Require components are ordered by definition, not by name."""
    m = Machine({"Z": {"require": ["Y"]}, "Y": {}, "B": {"require": ["A"]}, "A": {}})
    m.add("B", "A", "Z", "Y")
    assert m.active_states() == ("Y", "Z", "A", "B")


def test_base_order_without_relations() -> None:
    """An add puts called states in front, a set gives the called order, a remove keeps the order."""
    m = Machine({state: {} for state in "ABD"})
    m.add("A")
    m.add("B")
    assert m.active_states() == ("B", "A")
    m.set("D", "A", "B")
    m.remove("A")
    assert m.active_states() == ("D", "B")


def test_multi_adds_only_when_entered() -> None:
    """An active Multi state does not bring its implied states back on unrelated mutations."""
    m = Machine({"M": {"multi": True, "add": ["X"]}, "X": {}, "Y": {}})
    m.add("M")
    m.remove("X")
    m.add("Y")
    assert m.not_("X")
    m.add("M")
    assert m.is_("X")


def test_clock_of_multi() -> None:
    """A called Multi state ticks by two while active; the documented sequence."""
    m = Machine({"A": {}, "B": {"multi": True}, "C": {}, "D": {}})
    texts = []
    for kind, *states in (
        ("add", "A", "B"),
        ("add", "A", "B"),
        ("set", "D"),
        ("add", "D", "C"),
        ("remove", "B", "C"),
        ("add", "A", "B"),
    ):
        assert getattr(m, kind)(*states) is E
        texts.append(text(m))
    assert texts == [
        "(A:1 B:1) [C:0 D:0]", "(A:1 B:3) [C:0 D:0]", "(D:1) [A:2 B:4 C:0]", "(C:1 D:1) [A:2 B:4]", "(D:1) [A:2 B:4 C:2]", "(A:3 B:5 D:1) [C:2]",
    ]  # fmt: skip


def test_cache_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that wanders through many configurations forgets plans instead of leaking, and stays right."""
    monkeypatch.setattr("asyncmachine.plans.PLAN_LIMIT", 50)
    m = Machine({f"S{n}": {} for n in range(12)})
    for number in range(2000):
        bits = (number * 2654435761) >> 7
        wanted = {f"S{n}" for n in range(12) if bits >> n & 1}
        m.set(*sorted(wanted))
        assert set(m.active_states()) == wanted
        assert m._plans.known <= 51
