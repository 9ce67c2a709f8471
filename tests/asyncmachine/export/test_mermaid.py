"""Diagrams in Mermaid: what is written. That Mermaid itself reads it was tried by hand with these schemas."""

from __future__ import annotations

import html
import re

import pytest

from asyncmachine import Machine
from asyncmachine.export.diagrams import draw
from asyncmachine.export.looks import printable
from asyncmachine.export.relation_graph import RelationGraph
from tests.asyncmachine.export.schemas_drawn import every_schema, relations_of

SCHEMAS = every_schema()
RELATION = {"requires": "require", "adds": "add", "removes": "remove", "after": "after", "exclude each other": "remove"}


def shown(text: str) -> str:
    """What Mermaid makes of its entities."""
    return html.unescape(re.sub(r"#(\w+);", lambda found: f"&{'#' if found[1].isdigit() else ''}{found[1]};", text))


def read(mermaid: str) -> tuple[set[str], set[tuple[str, str, str]]]:
    """Read states and relations back, without the model that wrote them."""
    boxes: dict[str, list[str]] = {}
    ends: dict[str, list[str]] = {}
    links = []
    box = ""
    for line in mermaid.splitlines()[1:]:
        if found := re.fullmatch(r'  subgraph (\w+)\["[^"]*"\]', line):
            box = found[1]
            boxes[box] = []
        elif line == "  end":
            box = ""
        elif found := re.fullmatch(r' +(s\d+)\["([^"]*)"\]', line):
            ends[found[1]] = [shown(found[2])]
            if box:
                boxes[box] += ends[found[1]]
        elif found := re.fullmatch(r"  (\w+) (\S+)\|(.*)\| (\w+)", line):
            links.append(found.groups())
    states = {name for names in ends.values() for name in names}
    boxes.pop("loose", None)
    relations = {(a, "remove", b) for group in boxes.values() for a in group for b in group if a != b}
    ends |= boxes
    for source, arrow, word, target in links:
        found_ones = {(a, RELATION[word], b) for a in ends[source] for b in ends[target]}
        relations |= found_ones | ({(b, r, a) for a, r, b in found_ones} if arrow == "x--x" else set())
    return states, relations


@pytest.mark.parametrize("name", SCHEMAS)
def test_mermaid_holds_the_schema(name: str) -> None:
    """Read back from the text, states and relations are the schema's."""
    graph = RelationGraph.of(SCHEMAS[name])
    states, relations = read(draw(graph, "mermaid"))
    assert states == {printable(state.name) for state in graph.states}
    assert relations == {(printable(a), r, printable(b)) for a, r, b in relations_of(SCHEMAS[name])}


def test_active_auto_and_multi_have_classes() -> None:
    """Only those that occur are defined."""
    machine = Machine({"A": {"require": ["B"]}, "B": {"multi": True}})
    machine.add("B")
    lines = machine.diagram("mermaid").splitlines()
    assert "  class s1 active" in lines
    assert "  class s1 multi" in lines
    assert not [line for line in lines if "auto" in line]
    assert "  linkStyle 0 stroke:#0072B2,color:#0072B2" in lines


def test_states_without_relations_stand_side_by_side() -> None:
    """In rows, by links that are not drawn and stand behind all that are, so that the numbers of those are right."""
    lines = draw(RelationGraph.of({name: {} for name in "ABCDE"}), "mermaid").splitlines()
    assert [line for line in lines if "~~~" in line] == ["  s0 ~~~ s1 ~~~ s2", "  s3 ~~~ s4"]
    four = draw(RelationGraph.of({name: {} for name in ("A", "B", "C", "D", "E", "F", "G")}), "mermaid")
    assert sum("~~~" in line for line in four.splitlines()) == 2
