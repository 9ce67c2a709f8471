"""Intended differences from the reference: schemas and relations."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from asyncmachine import Machine, Result, SchemaError
from tests.asyncmachine.differences.machines import AUTO, PLAIN, build, fail, text

# schema


def test_q01_an_unknown_name_in_a_relation_is_an_error() -> None:
    """Whatever the relation, and also if the name is in two of them."""
    for relations in ({"add": ["X"], "remove": ["X"]}, {"require": ["X"]}, {"after": ["X"]}):
        with pytest.raises(SchemaError, match="'X'"):
            Machine({"A": relations})


def test_q02_relations_to_exception_need_no_definition_of_it() -> None:
    """An error state can bring Exception along although the schema does not define it."""
    m = Machine({"ErrFoo": {"add": ["Exception"], "require": ["Exception"]}})
    assert m.add("ErrFoo") is Result.EXECUTED
    assert m.is_("ErrFoo", "Exception")


def test_q04_a_refused_schema_changes_nothing() -> None:
    """A schema that bound handlers do not fit is refused, and the machine goes on with its own."""
    m = build(PLAIN, "A", AState=fail)
    with pytest.raises(SchemaError):
        m.set_schema({"A": {}, "E": {}})
    assert (m.state_names, text(m)) == (("Exception", "A", "B", "C", "D"), "(A:1) [B:0 C:0 D:0]")


def test_q05_waits_made_after_the_schema_has_grown_resolve() -> None:
    """Waits for ticks and questions go on working."""

    async def main() -> None:
        m = Machine(PLAIN)
        m.set_schema({**PLAIN, "E": {}})
        waits = [m.when_time({"A": 1}), m.when_ticks("A", 1), m.when_query(lambda clock: clock["A"] == 1)]
        m.add("A")
        assert all(wait.done() for wait in waits)

    asyncio.run(main())


# relations


def test_q07_an_active_multi_state_does_not_add_again() -> None:
    """Its Add list is applied when it is activated or called again, on no other transition."""
    m = Machine({"M": {"multi": True, "add": ["X"]}, "X": {}, "Y": {}})
    m.add("M")
    m.remove("X")
    m.add("Y")
    assert text(m) == "(M:1 Y:1) [X:2]"
    m.set("M", "Y")
    assert text(m) == "(M:3 X:3 Y:1) []"


@pytest.mark.parametrize(
    ("schema", "active", "result", "after"),
    [
        ({"A": {"add": ["B"]}, "B": {"add": ["C"]}, "C": {"add": ["D"]}, "D": {}}, "", "executed", "(A:1 B:1 C:1 D:1) []"),
        ({"A": {"add": ["B"]}, "B": {"add": ["C"]}, "C": {"remove": ["X"]}, "X": {}}, "X", "executed", "(A:1 B:1 C:1) [X:2]"),
        ({"A": {"add": ["B"], "require": ["C"]}, "B": {"add": ["C"]}, "C": {}}, "", "executed", "(A:1 B:1 C:1) []"),
    ],
    ids=["to the end", "Remove of the last", "Require met by the last"],
)  # fmt: skip
def test_q17_add_is_followed_to_the_end(schema: dict[str, Any], active: str, result: str, after: str) -> None:
    """Implied states imply further ones, with all their relations."""
    m = build(schema, active)
    assert str(m.add("A")) == result
    assert text(m) == after


def test_q18_definition_order_breaks_ties() -> None:
    """Not the order of names: of autos, of autos that exclude each other, and of unrelated Require components."""
    m = Machine({"Z": AUTO, "A": {}, "Y": AUTO})
    m.add("A")
    assert m.active_states() == ("Z", "Y", "A")
    for first, second in (("Z", "Y"), ("Y", "Z")):
        m = Machine({"A": {}, first: {**AUTO, "remove": [second]}, second: {**AUTO, "remove": [first]}})
        m.add("A")
        assert m.is_(first)
        assert m.not_(second)
    m = Machine({"Z": {"require": ["Y"]}, "Y": {}, "B": {"require": ["A"]}, "A": {}, "Q": {}, "P": {}})
    m.set("P", "B", "A", "Z", "Q", "Y")
    assert m.active_states() == ("P", "Q", "Y", "Z", "A", "B")


def test_q18_a_require_cycle_switches_the_require_order_off() -> None:
    """States stay as they are listed."""
    m = Machine({"B": {"require": ["A"]}, "A": {"require": ["B"]}, "D": {"require": ["C"]}, "C": {}})
    m.add("D", "B", "C", "A")
    assert m.active_states() == ("D", "B", "C", "A")


def test_q19_after_holds_between_states_that_are_no_neighbours() -> None:
    """Also through a chain; of a cycle the first one listed comes first."""
    m = Machine({"Z": {"after": ["C"]}, "B": {}, "C": {"after": ["D"]}, "A": {}, "D": {}})
    m.add("Z", "B", "C", "A", "D")
    assert m.active_states() == ("B", "A", "D", "C", "Z")
    m = Machine({"Z": {"after": ["Y"]}, "Y": {"after": ["Z"]}, "A": {}})
    m.add("Y", "Z", "A")
    assert m.active_states() == ("A", "Y", "Z")
