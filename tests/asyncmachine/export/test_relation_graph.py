"""What a diagram holds: all states and relations of a schema, as boxes, arrows and a table."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncmachine.export.relation_graph import Arrow, RelationGraph
from tests.asyncmachine.export.schemas_drawn import Everything, every_schema, relations_of

SCHEMAS = every_schema()


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_diagram_holds_exactly_the_states_and_relations_of_its_schema(name: str) -> None:
    """Boxes and arrows give back every relation and no other; only an unrelated Exception is left out."""
    states = SCHEMAS[name]
    graph = RelationGraph.of(states)
    relations = relations_of(states)
    related = {end for source, _, target in relations for end in (source, target)}
    assert graph.relations() == relations
    assert {state.name for state in graph.states} == set(states) - ({"Exception"} - related)
    assert [state.name for state in graph.states] == [one for one in states if graph_has(graph, one)]
    assert set(graph.loose) == {state.name for state in graph.states} - related
    for state in graph.states:
        assert (state.is_auto, state.is_multi) == (
            bool(states[state.name].get("auto")),
            bool(states[state.name].get("multi")),
        )


def graph_has(graph: RelationGraph, name: str) -> bool:
    return any(state.name == name for state in graph.states)


@st.composite
def any_states(draw: st.DrawFn) -> dict[str, dict[str, Any]]:
    """States with any relations between them, itself included."""
    names = [f"S{number}" for number in range(draw(st.integers(1, 8)))]
    some = st.lists(st.sampled_from(names), unique=True)
    return {one: {relation: draw(some) for relation in ("require", "add", "remove", "after")} for one in names}


@given(any_states())
def test_no_relation_is_lost_or_made_up(states: dict[str, dict[str, Any]]) -> None:
    """Of any schema; what a state removes or follows itself is dropped, as the library drops it."""
    graph = RelationGraph.of(states)
    wanted = {(a, r, b) for a, r, b in relations_of(states) if a != b or r not in ("remove", "after")}
    assert graph.relations() == wanted
    assert sum(len(arrow.relations()) for arrow in graph.arrows) == len(
        {one for arrow in graph.arrows for one in arrow.relations()}
    ), "no relation is drawn twice"
    boxed = [one for group in graph.groups for one in group]
    assert len(boxed) == len(set(boxed)), "no state is in two boxes"
    for group in graph.groups:
        assert len(group) > 1
        assert all({(a, "remove", b), (b, "remove", a)} <= wanted for a, b in combinations(group, 2))


def test_states_that_exclude_each_other_are_one_box_and_share_arrows() -> None:
    """Four steps that all remove each other and require Start: a box and an arrow instead of ten arrows."""
    steps = ("A", "B", "C", "D")
    states = {"Start": {"add": ["A"]}} | {one: {"require": ["Start"], "remove": list(steps)} for one in steps}
    graph = RelationGraph.of(states)
    assert graph.groups == (steps,)
    assert graph.arrows == (Arrow("require", steps, ("Start",)), Arrow("add", ("Start",), ("A",)))
    assert graph.loose == ()


def test_what_removes_a_whole_box_is_one_arrow_and_a_pair_outside_boxes_is_one_too() -> None:
    """A relation to all states of a box ends at the box; two that exclude each other across boxes have one line."""
    graph = RelationGraph.of(Everything.to_dict())
    assert graph.groups == (("Red", "Green", "Blue"), ("Day", "Night"))
    assert Arrow("remove", ("Sleeping",), ("Red", "Green", "Blue")) in graph.arrows
    assert Arrow("remove", ("Green",), ("Night",), is_mutual=True) in graph.arrows
    assert graph.loose == ("Alone",)


def test_exception_is_drawn_where_it_matters() -> None:
    """Every machine has it, so it is left out unless a relation names it or it is active."""
    assert not graph_has(RelationGraph.of({"Exception": {"multi": True}, "A": {}}), "Exception")
    assert graph_has(RelationGraph.of({"Exception": {}, "A": {"require": ["Exception"]}}), "Exception")
    assert graph_has(RelationGraph.of({"Exception": {}, "A": {}}, active=["Exception"]), "Exception")


def test_a_state_that_only_a_relation_names_is_drawn() -> None:
    """Records of other programs may have such; nothing is dropped in silence."""
    graph = RelationGraph.of({"A": {"require": ["Elsewhere"]}})
    assert graph.state("Elsewhere").name == "Elsewhere"
    with pytest.raises(KeyError):
        graph.state("Nowhere")
