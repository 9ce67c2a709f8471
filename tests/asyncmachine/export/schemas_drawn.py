"""Schemas that are drawn in tests: every one of both packages, and foreign ones with names that need quoting."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from asyncmachine import Schema, State, schemas
from asyncmachine.schema import SchemaMeta
from pubsub_sim.drivers.states import schemas as pubsub


class Everything(Schema):
    """Every relation, both flags, a box with what its states share, one that overlaps, and a pair across boxes."""

    Start = State(add="Red", after="Loose")
    Red = State(auto=True, require="Start", remove=("Green", "Blue"), add="Bell")
    Green = State(require="Start", remove=("Red", "Blue", "Night"))
    Blue = State(require="Start", remove=("Red", "Green", "Day"), after="Green")
    Day = State(remove=("Night", "Blue"))
    Night = State(remove=("Day", "Green"))
    Sleeping = State(multi=True, auto=True, remove=("Red", "Green", "Blue"))
    Bell = State(multi=True, remove="Start")
    Loose = State()
    Alone = State(multi=True)


ODD_NAMES = (
    "a b", 'say "hi"', "end", "graph", "subgraph", "node", "digraph", "жука", "状态", "x;y", "a#b", "a<b>&amp;", "back\\slash", "tick`s`",
    "line\nend", "\\N", "class", "default", "}{", "[x]", "(y)", "|p|", "%%c", "it's", "-->", '\\"', "\ud800", "loop", "A:B", '"`md`"', "no relations",
)  # fmt: skip


def odd_states() -> dict[str, dict[str, Any]]:
    """A ring of requirements through names that DOT, Mermaid or XML would take for something else; two exclude each other."""
    states: dict[str, dict[str, Any]] = {
        name: {"require": [other]} for name, other in zip(ODD_NAMES, ODD_NAMES[1:] + ODD_NAMES[:1], strict=True)
    }
    states["end"] |= {"multi": True, "remove": ["x;y"]}
    states["x;y"] |= {"auto": True, "remove": ["end"]}
    return states | {"lo;ose<": {}, 'and "that"': {"multi": True}}


def every_schema() -> dict[str, Mapping[str, Mapping[str, Any]]]:
    """Name -> states as plain data."""
    found: dict[str, Mapping[str, Mapping[str, Any]]] = {
        name: thing.to_dict()  # type: ignore[attr-defined]
        for room in (schemas, pubsub)
        for name, thing in vars(room).items()
        if isinstance(thing, SchemaMeta) and name != "Schema"
    }
    return found | {"Everything": Everything.to_dict(), "odd names": odd_states()}


def relations_of(states: Mapping[str, Mapping[str, Any]]) -> set[tuple[str, str, str]]:
    """All relations of plain data."""
    return {
        (source, relation, target)
        for source, data in states.items()
        for relation in ("require", "add", "remove", "after")
        for target in data.get(relation, ())
    }
