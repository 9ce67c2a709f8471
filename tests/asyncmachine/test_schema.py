"""Schemas are checked completely when they are defined."""

from __future__ import annotations

from typing import Any

import pytest

from asyncmachine import Event, Machine, Schema, SchemaError, State


class Connection(Schema):
    Connecting = State(auto=True, require="Start", remove=["Connected"])
    Connected = State(require="Start", remove=[Connecting])
    Start = State()


def test_attributes_read_as_names() -> None:
    """A state of a schema class reads as its name."""
    assert Connection.Connected == "Connected"


def test_exception_is_defined_first() -> None:
    """Exception is added in front, as a Multi state."""
    assert Connection.names == ("Exception", "Connecting", "Connected", "Start")
    assert Connection.states["Exception"].multi


def test_own_exception_keeps_its_place() -> None:
    """A schema that defines Exception itself keeps definition and place."""
    schema = Schema.of({"A": {}, "Exception": {}})
    assert schema.names == ("A", "Exception")
    assert not schema.states["Exception"].multi


def test_relations_by_object_and_by_name_are_equal() -> None:
    """Earlier states can be given by object."""
    assert Connection.states["Connected"].remove == ("Connecting",)


def test_subclass_inherits_and_overrides() -> None:
    """A subclass keeps inherited order and replaces whole states."""

    class More(Connection):
        Start = State(multi=True)
        Extra = State(require="Connected")

    assert More.names == ("Exception", "Connecting", "Connected", "Start", "Extra")
    assert More.states["Start"].multi
    assert not Connection.states["Start"].multi


@pytest.mark.parametrize("relation", ["require", "add", "remove", "after"])
def test_unknown_name_is_an_error_with_suggestion(relation: str) -> None:
    """An unknown name in any relation is refused, with the nearest match."""
    with pytest.raises(SchemaError, match="did you mean 'Ready'") as caught:
        Schema.of({"Ready": {}, "A": {relation: ["Redy"]}}, name="Mine")
    assert (caught.value.schema, caught.value.state, caught.value.matches) == ("Mine", "A", ("Ready",))


def test_require_and_remove_conflict() -> None:
    """Requiring what is removed is refused."""
    with pytest.raises(SchemaError, match="requires 'B' and removes it"):
        Schema.of({"A": {"require": ["B"], "remove": ["B"]}, "B": {}})


def test_add_wins_over_remove() -> None:
    """A name both added and removed is added, so that requiring it is no conflict."""
    schema = Schema.of({"A": {"require": ["B"], "remove": ["A", "B"], "add": ["B"], "after": ["A"]}, "B": {}})
    assert schema.states["A"].to_dict() == {"require": ["B"], "add": ["B"]}


@pytest.mark.parametrize(
    "names", [["A", "AA"], ["Foo", "FooBar", "BarEnter"], ["Enter"], ["Any"], ["Foo", "FooB", "BC", "C"]]
)
def test_ambiguous_handler_names(names: list[str]) -> None:
    """States whose handler names cannot be told apart are refused."""
    with pytest.raises(SchemaError):
        Schema.of({name: {} for name in names})


def test_require_cycle_is_allowed() -> None:
    """States that require one another come all or not at all."""
    m = Machine({"A": {"require": ["B"]}, "B": {"require": ["A"]}})
    assert m.add("A").canceled
    assert m.add("A", "B").executed


def test_unknown_field() -> None:
    """Plain data with a misspelt field is refused."""
    with pytest.raises(SchemaError, match="did you mean 'require'"):
        Schema.of({"A": {"requires": ["B"]}, "B": {}})


def test_state_is_immutable() -> None:
    """A State cannot be changed."""
    with pytest.raises(AttributeError):
        State().auto = True


def test_round_trip_as_data() -> None:
    """A schema becomes plain data and back."""
    assert Schema.of(Connection.to_dict()).to_dict() == Connection.to_dict()


def test_merge_replaces_whole_states() -> None:
    """Merging overrides states as a whole."""
    merged = Schema.of({"A": {"add": ["B"]}, "B": {}}).merge({"A": {"auto": True}})
    assert merged.to_dict() == {"Exception": {"multi": True}, "A": {"auto": True}, "B": {}}


def test_prefix_renames_relations() -> None:
    """Prefixing renames states and their relations, but not Exception."""
    schema = Schema.of({"A": {"add": ["B"]}, "B": {}}).prefix("X")
    assert schema.to_dict() == {"Exception": {"multi": True}, "XA": {"add": ["XB"]}, "XB": {}}


def test_equal_mappings_share_one_schema() -> None:
    """Equal plain mappings share one compiled schema."""
    first, second = (Machine({"A": {"add": ["B"]}, "B": {}}) for _ in range(2))
    assert first.schema is second.schema


def test_machine_takes_all_three_forms() -> None:
    """A machine takes a class, a mapping of States and plain data."""
    forms: tuple[Any, ...] = (Connection, {"Start": State()}, {"Start": {}})
    for schema in forms:
        assert Machine(schema).add("Start").executed


def test_growing_a_schema() -> None:
    """A grown schema keeps ticks, active states and waits, and brings new relations."""
    m = Machine({"A": {}, "B": {}, "C": {}})
    m.set("A", "C")
    ctx = m.state_ctx("A")
    m.set_schema({"D": {"add": ["E"]}, "E": {}, "A": {"multi": True}, "B": {"remove": ["C"]}, "C": {}})
    assert m.state_names == ("Exception", "A", "B", "C", "D", "E")
    assert m.set("A", "B", "D").executed
    assert m.string_all() == "(A:3 B:1 D:1 E:1) [Exception:0 C:2]"
    assert ctx.expired


@pytest.mark.parametrize("schema", [{"A": {}, "B": {}}, {"A": {}, "X": {}, "Y": {}}])
def test_schema_can_only_grow(schema: dict[str, Any]) -> None:
    """A schema without new states, or without an old one, is refused."""
    with pytest.raises(SchemaError):
        Machine({"A": {}, "B": {}}).set_schema(schema)


def test_schema_cannot_grow_in_a_handler() -> None:
    """Inside a handler the schema stays as it is."""

    class Handlers:
        def AState(self, e: Event) -> None:  # named after its state
            e.machine.set_schema({"A": {}, "B": {}})

    m = Machine({"A": {}}, handlers=Handlers())
    m.add("A")
    assert isinstance(m.err, SchemaError)


def test_states_of_plain_values() -> None:
    """States are equal by definition, say what they are, and keep what is given."""
    first, second = State(auto=True, require="A", tags="t"), State(auto=True, require=["A"], tags=["t"])
    assert first == second
    assert hash(first) == hash(second)
    assert first != State(require="A")
    assert first != "A"
    assert repr(first) == "State(auto=True, require=['A'], tags=['t'])"
    assert first.to_dict() == {"auto": True, "require": ["A"], "tags": ["t"]}


@pytest.mark.parametrize(
    ("definition", "problem"),
    [
        ({"A": {"add": [3]}}, "takes names or States, got 3"),
        ({"A": {"add": [State()]}}, "not in a schema yet"),
        ({"A b": {}}, "must be an identifier"),
        ({3: {}}, "must be a string, got 3"),
        ({"merge": {}}, "taken by a method"),
    ],
)
def test_bad_definitions(definition: dict[Any, Any], problem: str) -> None:
    """Each mistake is named."""
    with pytest.raises(SchemaError, match=problem):
        Schema.of(definition)


def test_a_schema_is_immutable_and_knows_its_names() -> None:
    """Names can be asked and counted; what was declared stays."""
    assert ("Start" in Connection, "Nope" in Connection, len(Connection)) == (True, False, 4)
    for name in ("Start", "names", "states"):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(Connection, name, ())
    Connection.comment = "free"  # type: ignore[attr-defined]  # anything else is a plain class attribute
    del Connection.comment  # type: ignore[attr-defined]  # put back


def test_prefix_of_a_choice() -> None:
    """Only the chosen states are renamed, without what they relate to among the others."""
    schema = Schema.of({"XA": {"add": ["B", "C"]}, "B": {}, "C": {}, "D": {}})
    part = schema.prefix("X", remove_dups=True, allow=["XA", "B", "D"], skip=["D"])
    assert part.to_dict() == {"Exception": {"multi": True}, "XA": {"add": ["XB"]}, "XB": {}}


def test_merge_with_states_and_schemas() -> None:
    """A schema merges with a schema, with State objects and with plain data."""
    for other in (Schema.of({"B": {"multi": True}}), {"B": State(multi=True)}, {"B": {"multi": True}}):
        merged = Schema.of({"A": {}, "B": {}}).merge(other)  # type: ignore[arg-type]  # one of three forms
        assert merged.to_dict()["B"] == {"multi": True}
