"""The reference's tests of parsing, inheriting and growing schemas."""

from __future__ import annotations

from typing import Any

import pytest

from asyncmachine import Schema, SchemaError, State
from tests.reference.machines import NO_RELS, active, ended, machine, no_rels

RELATIONS = ("after", "add", "require", "remove")


def relations_of(schema: type[Schema], state: str, other: str | None = None) -> list[str]:
    """The relations a state declares, to any state or to one."""
    targets = [(relation, getattr(schema.states[state], relation)) for relation in RELATIONS]
    return [relation for relation, names in targets if (names if other is None else other in names)]


@pytest.mark.reference("TestParseStruct")
def test_redundant_relations_are_dropped() -> None:
    """A state neither removes itself nor what it adds, nor comes after itself."""
    parsed = Schema.of({"A": {"remove": ["A", "B", "C"], "add": ["C"], "after": ["A"]}, "B": {}, "C": {}})
    assert parsed.states["A"] == State(remove="B", add="C")
    assert parsed.states["B"] == parsed.states["C"] == State()


@pytest.mark.reference("TestStatesFile")
def test_a_schema_inherits() -> None:
    """A subclass has its own states, those of its bases, and their names as attributes."""

    class Base(Schema):
        Foo = State()
        Baz = State()

    class Child(Base):
        Bar = State(require=Base.Foo)

    assert (Child.Foo, Child.Bar) == ("Foo", "Bar")
    assert Child.names == ("Exception", "Foo", "Baz", "Bar")
    assert Base.merge({"Bar": {}}).names == ("Exception", "Foo", "Baz", "Bar")


@pytest.mark.reference("TestGetStateRelations")
def test_relations_of_a_state() -> None:
    """What a state declares can be read from the schema."""
    schema = Schema.of({"A": {"add": ["B"], "require": ["B"], "auto": True}, "B": {}})
    assert relations_of(schema, "A") == ["add", "require"]
    assert schema.states["A"].auto


@pytest.mark.reference("TestGetRelationsBetweenStates")
def test_relations_to_one_state() -> None:
    """Relations are told apart by their targets."""
    schema = Schema.of({"A": {"add": ["B"], "require": ["C"], "auto": True}, "B": {}, "C": {}})
    assert relations_of(schema, "A", "B") == ["add"]


@pytest.mark.reference("TestGetRelationsBetween")
def test_relations_between_the_states_of_a_machine() -> None:
    """A machine gives out its schema; unknown names are no keys of it."""
    patch: dict[str, Any] = {
        "A": {"add": ["B", "C"], "after": ["B"]},
        "B": {"remove": ["C"], "add": ["A"]},
        "C": {"after": ["D"]},
        "D": {"require": ["A"]},
    }
    schema = no_rels(**patch).schema
    pairs = [("A", "B"), ("B", "C"), ("C", "D"), ("D", "A")]
    assert [relations_of(schema, *pair) for pair in pairs] == [["after", "add"], ["remove"], ["after"], ["require"]]  # type: ignore[arg-type]  # SchemaMeta makes Schema classes only
    with pytest.raises(KeyError):
        schema.states["Unknown1"]


@pytest.mark.reference("TestSetStates")
def test_a_schema_grows() -> None:
    """States keep their ticks, relations change, new states can be activated."""
    m = no_rels("A", "C")
    grown: dict[str, Any] = {**NO_RELS, "A": {"multi": True}, "B": {"remove": ["C"]}, "D": {"add": ["E"]}, "E": {}}
    m.set_schema(grown)
    assert len(m.state_names) == 6
    m.set("A", "B", "D")
    assert active(m) == {"A", "B", "D", "E"}
    assert (ended(m), m.active_states()) == ("(A:3 B:1 D:1 E:1) [C:2]", ("A", "B", "D", "E"))


@pytest.mark.reference("TestVerifyStates")
@pytest.mark.parametrize("names", [["A", "B", "Err"], ["A"], ["A", "B"]])
def test_a_schema_has_to_keep_its_states(names: list[str]) -> None:
    """Names are verified where they are given: with the schema. One that lacks a state of the machine is refused."""
    m = machine(NO_RELS, "A", "B")
    with pytest.raises(SchemaError):
        m.set_schema({name: {} for name in names})
    assert ended(m) == "(A:1 B:1) [C:0 D:0]"
